"""Callbacks: verified, stored once, answered; then processed, with retries, by the one settle path."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings
from django.db import connection
from django.db.models import QuerySet
from psycopg.types.json import Jsonb

from payments import metrics
from payments.dto import CallbackMessage, Outcome, Processing, Receipt
from payments.errors import CallbackForNobody, CallbackNotStuck, InvalidCallback
from payments.models import Callback
from payments.ports import CallbackInvalid, GatewayRefused, GatewayUnavailable
from payments.queries import AttemptRow, attempt_of_reference, attempt_of_session
from payments.services import gateways
from payments.services.circuits import GatewayHeldBack
from payments.services.refunds import adopt_refunds_of
from payments.services.schedule import LEASE_SECONDS, next_try
from payments.services.settling import settle_row
from payments.states import UNANSWERED, CallbackState, Source
from shop.kernel import looks
from shop.kernel.ids import new_id
from shop.kernel.tasks import wake
from shop.kernel.transactions import forbid_unit_of_work, unit_of_work

log = structlog.get_logger(__name__)

# What the signature covered; any other header is the network's business.
_KEPT_HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature", "stripe-signature", "content-type")
_PROCESS = "payments.tasks.settle_callback"

_STORE = """
INSERT INTO payments_callback (id, gateway, event_id, type, session_id, concerns_refunds, body, headers,
                               next_attempt_at, received_at)
SELECT message.id, %(gateway)s::text, message.event_id, message.type, message.session_id, message.concerns_refunds,
       %(body)s::bytea, %(headers)s::jsonb, %(now)s::timestamptz, %(now)s::timestamptz
FROM unnest(%(ids)s::uuid[], %(event_ids)s::text[], %(types)s::text[], %(session_ids)s::text[],
            %(concern_refunds)s::bool[]) AS message (id, event_id, type, session_id, concerns_refunds)
ON CONFLICT (gateway, event_id) DO NOTHING
RETURNING id
"""
_CLAIM = """
UPDATE payments_callback SET attempts = attempts + 1, next_attempt_at = %s::timestamptz
WHERE id = %s::uuid AND next_attempt_at <= %s::timestamptz
RETURNING id, gateway, event_id, type, session_id, concerns_refunds, attempts
"""
# Said as in the index's own condition, which holds what is still to be forgotten.
_FORGET = """
UPDATE payments_callback SET body = ''::bytea, headers = '{}'::jsonb
WHERE id IN (
    SELECT id FROM payments_callback WHERE body <> ''::bytea AND received_at < %s::timestamptz
    ORDER BY received_at LIMIT %s
)
"""
_FORGOTTEN_AT_ONCE = 5_000
_STUCK = [CallbackState.PARKED.value, CallbackState.QUARANTINED.value, CallbackState.DEAD.value]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Claimed:
    """A callback that is this worker's until the lease runs out."""

    id: UUID
    gateway: str
    event_id: str
    type: str
    session_id: str
    concerns_refunds: bool
    attempts: int


def receive_callback(*, gateway: str, body: bytes, headers: Mapping[str, str], now: datetime) -> Receipt:
    """Verify and store a gateway's message and have it processed; one we have already is received again.

    Raises CallbackForNobody for a gateway we do not know and InvalidCallback for everything that is not verified.
    The gateway is not asked anything here.
    """
    forbid_unit_of_work("Receiving a callback")
    if gateway not in settings.GATEWAYS:
        raise CallbackForNobody
    try:
        messages = gateways.gateway_named(gateway).parse_callback(body=body, headers=headers, now=now)
    except CallbackInvalid as error:
        metrics.callbacks.labels(gateway, "refused").inc()
        log.warning("callback.refused", gateway=gateway, reason=str(error))
        raise InvalidCallback from None
    kept = {name: headers[name] for name in _KEPT_HEADERS if name in headers}
    stored = _store(gateway=gateway, messages=messages, body=_fit_to_keep(body), headers=kept, now=now)
    repeated = len(messages) - stored
    metrics.callbacks.labels(gateway, "received").inc(stored)
    metrics.callbacks.labels(gateway, "repeated").inc(repeated)
    if stored:
        _observe_lag(gateway, messages, now)
    for message in messages:
        log.info("callback.received", gateway=gateway, event_id=message.event_id, type=message.type, new=bool(stored))
    return Receipt(new=stored, repeated=repeated)


def process_callback(*, callback_id: UUID, now: datetime) -> Processing:
    """Settle what a stored callback hints at, payment or refunds, if its turn has come and nobody else took it."""
    forbid_unit_of_work("Processing a callback")
    callback = _claim(callback_id, now)
    if callback is None:
        return Processing.NOT_DUE
    try:
        result = _apply(callback, now)
    except GatewayHeldBack as error:
        return _put_off(callback, now + timedelta(seconds=error.retry_after_seconds))
    except (GatewayUnavailable, GatewayRefused) as error:
        return _postpone(callback, CallbackState.RECEIVED, f"{type(error).__name__}: {error}", now)
    except Exception as error:
        # Whatever it is, it must come back, and must not come back for ever.
        log.exception("callback.failed", callback_id=str(callback.id), event_id=callback.event_id)
        return _postpone(callback, CallbackState.RECEIVED, type(error).__name__, now)
    return _conclude(callback, result, now)


@unit_of_work
def retry_callback(*, callback_id: UUID, now: datetime) -> None:
    """Begin the callback's tries anew; CallbackNotStuck unless it is parked, quarantined or dead."""
    _move_stuck(callback_id, state=CallbackState.RECEIVED, attempts=0, next_attempt_at=now, last_error="")
    wake(_PROCESS, callback_id=str(callback_id))


@unit_of_work
def dismiss_callback(*, callback_id: UUID) -> None:
    """Wave a callback through that means nothing to this shop; CallbackNotStuck unless parked, quarantined or dead."""
    _move_stuck(callback_id, state=CallbackState.DISMISSED, next_attempt_at=None)
    log.info("callback.dismissed", callback_id=str(callback_id))


def forget_callback_bodies(*, now: datetime) -> int:
    """Empty what gateways said CALLBACK_BODIES_KEPT_DAYS ago, some at a time; return how many bodies that were.

    The rows stay for ever: that an event is known is what keeps it from being settled twice.
    """
    before = now - timedelta(days=settings.CALLBACK_BODIES_KEPT_DAYS)
    with connection.cursor() as cursor:
        cursor.execute(_FORGET, [before, _FORGOTTEN_AT_ONCE])
        return int(cursor.rowcount)


def _move_stuck(callback_id: UUID, **changes: Any) -> None:
    if not Callback.objects.filter(id=callback_id, state__in=_STUCK).update(**changes):
        state = Callback.objects.filter(id=callback_id).values_list("state", flat=True).first()
        raise CallbackNotStuck(state=state or "missing")


@unit_of_work
def _store(
    *, gateway: str, messages: list[CallbackMessage], body: bytes, headers: dict[str, str], now: datetime
) -> int:
    columns: dict[str, Any] = {
        "gateway": gateway,
        "body": body,
        "headers": Jsonb(headers),
        "now": now,
        "ids": [new_id() for _ in messages],
        "event_ids": [message.event_id for message in messages],
        "types": [message.type for message in messages],
        "session_ids": [message.session_id for message in messages],
        "concern_refunds": [message.concerns_refunds for message in messages],
    }
    with connection.cursor() as cursor:
        cursor.execute(_STORE, columns)
        stored: list[UUID] = [row[0] for row in cursor.fetchall()]
    for callback_id in stored:
        wake(_PROCESS, callback_id=str(callback_id))
    return len(stored)


def _fit_to_keep(body: bytes) -> bytes:
    """Return the body as it came, but for a card number or a token in it: that has no business in any row of ours."""
    text = body.decode("latin-1")
    return looks.masked(text).encode("latin-1")


def _observe_lag(gateway: str, messages: list[CallbackMessage], now: datetime) -> None:
    for message in messages:
        if message.occurred_at is not None:
            lag = (now - message.occurred_at).total_seconds()
            metrics.callback_lag.labels(gateway).observe(max(0.0, lag))


def _claim(callback_id: UUID, now: datetime) -> _Claimed | None:
    lease = now + timedelta(seconds=LEASE_SECONDS)
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, [lease, callback_id, now])
        row: tuple[Any, ...] | None = cursor.fetchone()
    if row is None:
        return None
    names = ("id", "gateway", "event_id", "type", "session_id", "concerns_refunds", "attempts")
    return _Claimed(**dict(zip(names, row, strict=True)))


def _apply(callback: _Claimed, now: datetime) -> Processing:
    attempt = _attempt_of(callback)
    if attempt is None:
        return Processing.PARKED
    settlement = settle_row(attempt=attempt, source=Source.CALLBACK, now=now)
    if settlement.outcome is Outcome.QUARANTINED:
        return Processing.QUARANTINED
    return _adopt_refunds(attempt, now) if callback.concerns_refunds else Processing.APPLIED


def _adopt_refunds(attempt: AttemptRow, now: datetime) -> Processing:
    adopted = adopt_refunds_of(attempt_id=attempt.id, source=Source.CALLBACK, now=now)
    if adopted.strange or any(one.outcome is Outcome.QUARANTINED for one in adopted.settled):
        return Processing.QUARANTINED
    # One of ours may be about to let go of what the gateway has given back on its own.
    return Processing.POSTPONED if adopted.unfit else Processing.APPLIED


def _attempt_of(callback: _Claimed) -> AttemptRow | None:
    """Return the attempt the callback is about, also when it came before we had written the session's id down."""
    attempt = attempt_of_session(gateway=callback.gateway, session_id=callback.session_id)
    if attempt is not None or not callback.session_id:
        return attempt
    try:
        word = gateways.fetch(gateway=callback.gateway, session_id=callback.session_id)
    except GatewayRefused:
        # The gateway does not know it either; it stays parked, and is dead in the end.
        return None
    attempt = attempt_of_reference(gateway=callback.gateway, reference=word.reference)
    # The message may also have named the gateway's payment instead of its session.
    is_it = attempt is not None and (attempt.status in UNANSWERED or attempt.session_id == word.session_id)
    return attempt if is_it else None


def _conclude(callback: _Claimed, result: Processing, now: datetime) -> Processing:
    match result:
        case Processing.PARKED:
            return _postpone(callback, CallbackState.PARKED, "no payment is known for this session", now)
        case Processing.POSTPONED:
            return _postpone(callback, CallbackState.RECEIVED, "more went back there than is left here", now)
        case _:
            _finish(callback, CallbackState(result.value))
            return result


def _put_off(callback: _Claimed, at: datetime) -> Processing:
    """Let the callback wait, at no cost: the gateway was not asked, and that must not bring its death any nearer."""
    _unless_dismissed(callback).update(attempts=callback.attempts - 1, next_attempt_at=at)
    metrics.callbacks.labels(callback.gateway, "put_off").inc()
    return Processing.PUT_OFF


def _postpone(callback: _Claimed, state: CallbackState, error: str, now: datetime) -> Processing:
    at = next_try(tries=callback.attempts, now=now)
    state = CallbackState.DEAD if at is None else state
    _unless_dismissed(callback).update(state=state, next_attempt_at=at, last_error=error)
    metrics.callbacks.labels(callback.gateway, "postponed" if state is CallbackState.RECEIVED else state.value).inc()
    named = "callback.dead" if at is None else "callback.postponed"
    (log.error if at is None else log.warning)(
        named, callback_id=str(callback.id), event_id=callback.event_id, state=state.value, error=error
    )
    if at is None:
        return Processing.DEAD
    return Processing.PARKED if state is CallbackState.PARKED else Processing.POSTPONED


def _finish(callback: _Claimed, state: CallbackState) -> None:
    Callback.objects.filter(id=callback.id).update(state=state, next_attempt_at=None, last_error="")
    metrics.callbacks.labels(callback.gateway, state.value).inc()


def _unless_dismissed(callback: _Claimed) -> QuerySet[Callback]:
    """Return the callback to be tried again, unless a person has waved it through meanwhile."""
    return Callback.objects.filter(id=callback.id).exclude(state=CallbackState.DISMISSED)
