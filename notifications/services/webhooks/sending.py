"""Send what is due: claim a delivery, post it outside any transaction, write down what became of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from time import perf_counter
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings
from django.db import connection
from django.utils.module_loading import import_string

from notifications import metrics
from notifications.errors import WebhookSecretLost
from notifications.ports import AddressRefused, Answer, NoAnswer, WebhookSender
from notifications.services.webhooks.secrets import signatures
from shop.kernel.looks import masked
from shop.kernel.transactions import forbid_unit_of_work

log = structlog.get_logger(__name__)

# Beside the time-out of the call: names to be resolved, an answer to be written down. Then its worker was killed.
LEASE_MARGIN = timedelta(seconds=70)
USER_AGENT = "shop-webhooks/1"
_HIDDEN = "***"
_LONGEST_ERROR = 500

# One delivery of an endpoint at a time, the longest due first; of the endpoints, who was served longest ago. The
# attempt is counted here: one that kills its worker counts, too. The lock lets new deliveries be written meanwhile.
_CLAIM = """
WITH free AS (
    SELECT endpoint.id FROM notifications_webhook_endpoint AS endpoint
    WHERE endpoint.state = 'active' AND (endpoint.failures > 0) = %s::boolean
      AND (endpoint.busy_until IS NULL OR endpoint.busy_until <= %s::timestamptz)
      AND (endpoint.paused_until IS NULL OR endpoint.paused_until <= %s::timestamptz)
      AND EXISTS (SELECT FROM notifications_webhook_delivery AS due
                  WHERE due.endpoint_id = endpoint.id AND due.state = 'pending'
                    AND due.next_attempt_at <= %s::timestamptz)
    ORDER BY endpoint.served_at NULLS FIRST LIMIT %s FOR NO KEY UPDATE SKIP LOCKED
), first AS (
    SELECT free.id AS endpoint_id, due.id
    FROM free CROSS JOIN LATERAL (
        SELECT id FROM notifications_webhook_delivery
        WHERE endpoint_id = free.id AND state = 'pending' AND next_attempt_at <= %s::timestamptz
        ORDER BY next_attempt_at, id LIMIT 1
    ) AS due
), claimed AS (
    UPDATE notifications_webhook_delivery AS delivery
    SET attempts = delivery.attempts + 1, next_attempt_at = %s::timestamptz
    FROM first WHERE delivery.id = first.id
    RETURNING delivery.id, delivery.endpoint_id, delivery.event_id, delivery.type, delivery.body, delivery.attempts,
              delivery.redeliveries, delivery.correlation_id
)
UPDATE notifications_webhook_endpoint AS endpoint
SET busy_with = claimed.id, busy_until = %s::timestamptz, served_at = %s::timestamptz
FROM claimed WHERE endpoint.id = claimed.endpoint_id
RETURNING claimed.id, endpoint.id, claimed.event_id, claimed.type, claimed.body, claimed.attempts, claimed.redeliveries,
          claimed.correlation_id, endpoint.url, endpoint.seed,
          CASE WHEN endpoint.previous_until > %s::timestamptz THEN endpoint.previous_seed ELSE '' END,
          endpoint.failures, endpoint.failing_since, endpoint.busy_until
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A delivery that is ours to send until `busy_until`, and how its endpoint fares."""

    delivery_id: UUID
    endpoint_id: UUID
    event_id: UUID
    type: str
    body: str
    attempts: int
    redeliveries: int
    correlation_id: str
    url: str
    seeds: tuple[str, ...]
    failures: int
    failing_since: datetime | None
    busy_until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one attempt: an answer, or the reason why there is none. Headers are as sent, less what signs."""

    at: datetime
    headers: dict[str, str]
    answer: Answer | None
    error: str
    seconds: float


def claim(*, failing: bool, limit: int, now: datetime) -> list[Claimed]:
    """Take due deliveries of up to `limit` endpoints: of those that are well, or of those whose last attempt failed."""
    until = now + timedelta(seconds=settings.WEBHOOK_TIMEOUT_SECONDS) + LEASE_MARGIN
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, [failing, now, now, now, limit, now, until, until, now, now])
        return [_claimed(row) for row in cursor.fetchall()]


def send(*, claimed: Claimed, now: datetime) -> Outcome:
    """Sign and post one delivery, and return what came of it. It needs no database: threads may do it."""
    forbid_unit_of_work("Calling a merchant's system")
    headers = {
        "Content-Type": "application/json",
        "User-Agent": USER_AGENT,
        "webhook-id": str(claimed.event_id),
        "webhook-timestamp": str(int(now.timestamp())),
    }
    began = perf_counter()
    answer, error = None, ""
    try:
        signed = signatures(seeds=claimed.seeds, message_id=str(claimed.event_id), at=now, body=claimed.body)
        answer = _sender(settings.WEBHOOK_SENDER).post(
            url=claimed.url,
            headers={**headers, "webhook-signature": signed},
            body=claimed.body.encode(),
            timeout_seconds=settings.WEBHOOK_TIMEOUT_SECONDS,
        )
    except (AddressRefused, NoAnswer, WebhookSecretLost) as failure:
        error = str(failure)
    except Exception as failure:
        # Whatever it is concerns this delivery only, and is tried again like any other failure.
        log.exception("webhook.not_sent", delivery_id=str(claimed.delivery_id))
        error = f"{type(failure).__name__}: {failure}"
    seconds = perf_counter() - began
    metrics.webhook_seconds.observe(seconds)
    shown = {**headers, "webhook-signature": _HIDDEN}
    return Outcome(at=now, headers=shown, answer=answer, error=_kept(error), seconds=seconds)


def _claimed(row: Sequence[Any]) -> Claimed:
    *_, seed, previous, failures, failing_since, busy_until = row
    return Claimed(
        delivery_id=row[0],
        endpoint_id=row[1],
        event_id=row[2],
        type=row[3],
        body=row[4],
        attempts=row[5],
        redeliveries=row[6],
        correlation_id=row[7],
        url=row[8],
        seeds=(seed, previous) if previous else (seed,),
        failures=failures,
        failing_since=failing_since,
        busy_until=busy_until,
    )


def _kept(error: str) -> str:
    return masked(error.replace("\0", "")[:_LONGEST_ERROR])


@cache
def _sender(path: str) -> WebhookSender:
    """Return the one sender of this process."""
    sender: WebhookSender = import_string(path)()
    return sender


def check_address(*, url: str) -> None:
    """Return if the shop may call this address; AddressRefused with the reason otherwise."""
    _sender(settings.WEBHOOK_SENDER).check(url=url)
