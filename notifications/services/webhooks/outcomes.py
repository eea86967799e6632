"""What an attempt means: for its delivery, and for the endpoint's circuit."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus

import structlog
from django.conf import settings
from django.db import connection

from notifications import metrics
from notifications.services.webhooks.sending import Claimed, Outcome
from notifications.states import DeliveryState, DisabledBecause, EndpointState, delivery_sources
from shop.kernel.ids import new_id
from shop.kernel.looks import masked
from shop.kernel.tracing import Trace, tracing
from shop.kernel.waits import spread

log = structlog.get_logger(__name__)

_LONGEST_RETRY_AFTER = timedelta(days=1)

# A success counts whoever brings it, also late; a failure only from whoever holds the claim. So does what the endpoint
# learns, and nothing of what a person has done meanwhile is undone. Counting who was told makes the endpoint's lock
# come before the delivery's, as everywhere.
_RECORD = """
WITH logged AS (
    INSERT INTO notifications_webhook_attempt
        (id, delivery_id, at, url, request_headers, status, answer, error, duration_ms)
    VALUES (%s, %s, %s, %s, %s::jsonb, %s, %s, %s, %s)
), told AS (
    UPDATE notifications_webhook_endpoint
    SET busy_with = NULL, busy_until = NULL, failures = %s, failing_since = %s::timestamptz,
        paused_until = %s::timestamptz,
        state = CASE WHEN state = 'active' THEN %s ELSE state END,
        disabled_because = CASE WHEN state = 'active' THEN %s ELSE disabled_because END,
        disabled_at = CASE WHEN state = 'active' THEN %s::timestamptz ELSE disabled_at END
    WHERE id = %s AND busy_with = %s AND busy_until = %s
    RETURNING id
)
UPDATE notifications_webhook_delivery
SET state = %s, next_attempt_at = %s::timestamptz, settled_at = %s::timestamptz, last_status = %s::int, last_error = %s
FROM (SELECT count(*) AS endpoints FROM told) AS counted
WHERE id = %s AND counted.endpoints >= 0 AND redeliveries = %s AND state = ANY(%s)
  AND (%s::boolean OR attempts = %s)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Health:
    """How the endpoint fares after the attempt."""

    failures: int = 0
    failing_since: datetime | None = None
    paused_until: datetime | None = None
    disabled: DisabledBecause | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verdict:
    """What an attempt means; `error` is empty after a success, `due_at` the time of the next attempt."""

    error: str
    state: DeliveryState
    due_at: datetime | None
    health: _Health


def record(*, claimed: Claimed, outcome: Outcome, now: datetime) -> DeliveryState:
    """Log the attempt, move the delivery, tell the endpoint's circuit, and return where the delivery stands now.

    One statement, which is also the end of the claim.
    """
    with tracing(Trace(claimed.correlation_id, causation_id=str(claimed.event_id))):
        verdict = _verdict(claimed, outcome, now=now)
        _write(claimed, outcome, verdict, now=now)
        _report(claimed, verdict)
    return verdict.state


def _verdict(claimed: Claimed, outcome: Outcome, *, now: datetime) -> _Verdict:
    error = _error(outcome)
    if not error:
        return _Verdict(error="", state=DeliveryState.DELIVERED, due_at=None, health=_Health())
    due_at = _next_attempt_at(claimed, outcome, now=now)
    state = DeliveryState.PENDING if due_at else DeliveryState.DEAD
    return _Verdict(error=error, state=state, due_at=due_at, health=_health(claimed, outcome, now=now))


def _error(outcome: Outcome) -> str:
    """Return why the attempt failed; nothing when the answer is a 2xx."""
    answer = outcome.answer
    if answer is None:
        return outcome.error
    if HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
        return ""
    if HTTPStatus.MULTIPLE_CHOICES <= answer.status < HTTPStatus.BAD_REQUEST:
        return f"Answered {answer.status}: redirects are not followed."
    return f"Answered {answer.status}."


def _next_attempt_at(claimed: Claimed, outcome: Outcome, *, now: datetime) -> datetime | None:
    """Return when a failed delivery is tried again; None when it never is."""
    delays = settings.WEBHOOK_RETRY_DELAYS_SECONDS
    if _is_gone(outcome) or claimed.attempts > len(delays):
        return None
    wait = spread(timedelta(seconds=delays[claimed.attempts - 1]))
    if outcome.answer is not None and outcome.answer.retry_after_seconds:
        asked = min(timedelta(seconds=outcome.answer.retry_after_seconds), _LONGEST_RETRY_AFTER)
        wait = max(wait, asked)
    return now + wait


def _health(claimed: Claimed, outcome: Outcome, *, now: datetime) -> _Health:
    failures, since = claimed.failures + 1, claimed.failing_since or now
    too_many = failures - settings.WEBHOOK_CIRCUIT_FAILURES
    pauses = settings.WEBHOOK_CIRCUIT_PAUSES_SECONDS
    paused = now + timedelta(seconds=pauses[min(too_many, len(pauses) - 1)]) if too_many >= 0 else None
    disabled = None
    if _is_gone(outcome):
        disabled = DisabledBecause.GONE
    elif too_many >= 0 and now - since >= timedelta(hours=settings.WEBHOOK_DISABLED_AFTER_HOURS):
        disabled = DisabledBecause.FAILING
    return _Health(failures=failures, failing_since=since, paused_until=paused, disabled=disabled)


def _is_gone(outcome: Outcome) -> bool:
    """Tell whether the receiver asks never to be called again, as Standard Webhooks has it."""
    return outcome.answer is not None and outcome.answer.status == HTTPStatus.GONE


def _write(claimed: Claimed, outcome: Outcome, verdict: _Verdict, *, now: datetime) -> None:
    answer, error, health = outcome.answer, verdict.error, verdict.health
    status = answer.status if answer else None
    with connection.cursor() as cursor:
        cursor.execute(
            _RECORD,
            [
                new_id(), claimed.delivery_id, outcome.at, claimed.url, json.dumps(outcome.headers), status,
                masked(answer.body) if answer else "", error, int(outcome.seconds * 1_000),
                health.failures, health.failing_since, health.paused_until,
                (EndpointState.DISABLED if health.disabled else EndpointState.ACTIVE).value,
                health.disabled.value if health.disabled else "", now if health.disabled else None,
                claimed.endpoint_id, claimed.delivery_id, claimed.busy_until,
                verdict.state.value, verdict.due_at, None if verdict.due_at else now, status, error,
                claimed.delivery_id, claimed.redeliveries, [state.value for state in delivery_sources(verdict.state)],
                not error, claimed.attempts,
            ],
        )  # fmt: skip


def _report(claimed: Claimed, verdict: _Verdict) -> None:
    ids = {"delivery_id": str(claimed.delivery_id), "endpoint_id": str(claimed.endpoint_id), "type": claimed.type}
    if not verdict.error:
        metrics.webhooks.labels("delivered").inc()
        log.info("webhook.delivered", **ids, attempt=claimed.attempts)
        return
    dead = verdict.state is DeliveryState.DEAD
    metrics.webhooks.labels("dead" if dead else "failed").inc()
    tell = log.error if dead else log.warning
    tell("webhook.dead" if dead else "webhook.failed", **ids, attempt=claimed.attempts, error=verdict.error[:100])
    if because := verdict.health.disabled:
        metrics.endpoints_disabled.labels(because.value).inc()
        log.error("webhook.endpoint_disabled", endpoint_id=str(claimed.endpoint_id), because=because.value)
