"""Claim a key, keep its answer, or give it back. Each is one statement; only keeping joins a transaction under way."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection
from psycopg.types.json import Jsonb

from shop.kernel.idempotency.errors import IdempotencyKeyReused, RequestInFlight
from shop.kernel.idempotency.models import Key
from shop.kernel.ids import new_id

FORGOTTEN_AT_ONCE = 1_000

# A free key is taken, and so is one whose holder has let the lease run out (it was killed); a key that is held,
# answered, or came with another body stays as it is, and no row comes back.
_CLAIM = """
INSERT INTO idempotency_key AS known
    (id, user_id, method, path, key, body_digest, state, holder, lease_expires_at, headers, created_at)
VALUES (%s, %s, %s, %s, %s, %s, 'in_flight', %s, %s, '{}', %s)
ON CONFLICT (user_id, method, path, key) DO UPDATE
SET holder = EXCLUDED.holder, lease_expires_at = EXCLUDED.lease_expires_at
WHERE known.state = 'in_flight' AND known.lease_expires_at <= EXCLUDED.created_at
    AND known.body_digest = EXCLUDED.body_digest
RETURNING id
"""

_KEEP = """
UPDATE idempotency_key SET state = 'done', status = %s, headers = %s, body = %s WHERE id = %s AND holder = %s
"""


@dataclass(frozen=True, slots=True)
class Request:
    """What makes two requests the same one."""

    user_id: UUID
    method: str
    path: str
    key: str
    body_digest: bytes


@dataclass(frozen=True, slots=True)
class Claim:
    """The request is the caller's to carry out, alone, until the lease ends."""

    id: UUID
    holder: UUID


@dataclass(frozen=True, slots=True)
class Answer:
    """What the first request was answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def claim(*, request: Request, now: datetime) -> Claim | Answer:
    """Take the key, or return the answer it was given before.

    Raises IdempotencyKeyReused when the key came with another body, RequestInFlight when somebody holds it.
    """
    holder = new_id()
    lease_expires_at = now + timedelta(seconds=settings.IDEMPOTENCY_LEASE_SECONDS)
    with connection.cursor() as cursor:
        cursor.execute(
            _CLAIM,
            [
                new_id(), request.user_id, request.method, request.path, request.key, request.body_digest,
                holder, lease_expires_at, now,
            ],
        )  # fmt: skip
        taken = cursor.fetchone()
    return Claim(id=taken[0], holder=holder) if taken else _answered_before(request)


def keep(*, claim: Claim, answer: Answer) -> bool:
    """Store the answer for repeats; False when the lease ran out and somebody else holds the key now."""
    values: list[Any] = [answer.status, Jsonb(dict(answer.headers)), answer.body, claim.id, claim.holder]
    with connection.cursor() as cursor:
        cursor.execute(_KEEP, values)
        kept: int = cursor.rowcount
    return kept == 1


def give_back(*, claim: Claim) -> None:
    """Free the key of a request that was refused or failed: a repeat may turn out otherwise.

    One that is answered stays: a commit whose confirmation was lost did happen.
    """
    Key.objects.filter(pk=claim.id, holder=claim.holder, state=Key.State.IN_FLIGHT).delete()


def forget(*, before: datetime) -> int:
    """Delete keys from before this instant, in batches, and return how many."""
    forgotten = 0
    while True:
        batch = Key.objects.filter(created_at__lt=before).order_by("created_at").values("pk")[:FORGOTTEN_AT_ONCE]
        deleted, _ = Key.objects.filter(pk__in=batch).delete()
        forgotten += deleted
        if deleted < FORGOTTEN_AT_ONCE:
            return forgotten


def _answered_before(request: Request) -> Answer:
    known = Key.objects.filter(
        user_id=request.user_id, method=request.method, path=request.path, key=request.key
    ).first()
    # Gone between two statements: its holder was refused and gave it back.
    if known is None:
        raise RequestInFlight
    if bytes(known.body_digest) != request.body_digest:
        raise IdempotencyKeyReused
    if known.state == Key.State.IN_FLIGHT or known.status is None or known.body is None:
        raise RequestInFlight
    return Answer(status=known.status, headers=known.headers, body=bytes(known.body))
