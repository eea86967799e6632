"""The one mover of refunds: row, history and what the attempt holds in one statement; then ledger and news."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from django.db import connection

from payments import metrics
from payments.dto import GatewayRefund, Outcome, RefundSettlement
from payments.events import RefundRejected, RefundReversed, RefundSucceeded
from payments.queries import RefundRow
from payments.services import ledger
from payments.services.moves import Reason
from payments.services.schedule import next_refund_try
from payments.states import DUE, HOLDING, RefundStatus, Source, check_refund_move
from shop.kernel.ids import new_id
from shop.kernel.outbox.services import publish
from shop.kernel.transactions import joins_unit_of_work

log = structlog.get_logger(__name__)

# The row, and what it holds of the captured money.
_HOLD = """
WITH refund AS (
    INSERT INTO payments_refund (id, attempt_id, gateway, gateway_refund_id, status, amount, currency, cause, reason,
                                 due_event_id, next_try_at, created_at, moved_at)
    VALUES (%(id)s::uuid, %(attempt_id)s::uuid, %(gateway)s::text, %(gateway_refund_id)s::text, %(status)s::text,
            %(amount)s::bigint, %(currency)s::text, %(cause)s::text, %(reason)s::text, %(due_event_id)s::uuid,
            %(next_try_at)s::timestamptz, %(now)s::timestamptz, %(now)s::timestamptz)
    RETURNING id, attempt_id, amount
), attempt AS (
    UPDATE payments_attempt attempt SET refund_held = refund_held + refund.amount FROM refund
    WHERE attempt.id = refund.attempt_id
)
INSERT INTO payments_refund_move (id, refund_id, at, from_status, to_status, source, why)
SELECT %(move_id)s::uuid, id, %(now)s::timestamptz, '', %(status)s::text, %(source)s::text, %(why)s::text FROM refund
"""
# The caller holds the locks of payable and attempt.
_WRITE = """
WITH refund AS (
    UPDATE payments_refund SET
        status = %(status)s::text, gateway_refund_id = %(gateway_refund_id)s::text,
        failure_code = %(failure_code)s::text, review_reason = %(review_reason)s::text,
        tries = %(tries)s::int, next_try_at = %(next_try_at)s::timestamptz, moved_at = %(moved_at)s::timestamptz
    WHERE id = %(id)s::uuid
    RETURNING id, attempt_id
), attempt AS (
    UPDATE payments_attempt attempt
    SET refund_held = refund_held + %(held)s::bigint, refunded = refunded + %(refunded)s::bigint
    FROM refund
    WHERE attempt.id = refund.attempt_id AND (%(held)s::bigint <> 0 OR %(refunded)s::bigint <> 0)
)
INSERT INTO payments_refund_move (id, refund_id, at, from_status, to_status, source, why)
SELECT step.id, refund.id, %(at)s::timestamptz, step.from_status, step.to_status, %(source)s::text, %(why)s::text
FROM refund, unnest(%(ids)s::uuid[], %(from)s::text[], %(to)s::text[]) AS step (id, from_status, to_status)
"""

_Steps = list[tuple[RefundStatus, RefundStatus]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    """What changes on the attempt when a refund moves, in minor units."""

    held: int = 0
    refunded: int = 0


@joins_unit_of_work
def hold(*, refund: RefundRow, due_event_id: UUID | None, reason: Reason) -> None:
    """Write a new refund down and keep its amount for it.

    The caller holds the locks of payable and attempt and has seen that the amount is left.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            _HOLD,
            {
                "id": refund.id,
                "attempt_id": refund.attempt_id,
                "gateway": refund.gateway,
                "gateway_refund_id": refund.gateway_refund_id,
                "status": refund.status.value,
                "amount": refund.amount,
                "currency": refund.currency,
                "cause": refund.cause.value,
                "reason": refund.reason,
                "due_event_id": due_event_id,
                "next_try_at": refund.next_try_at,
                "now": reason.now,
                "move_id": new_id(),
                "source": reason.source.value,
                "why": reason.why,
            },
        )
    metrics.refunds_requested.labels(refund.gateway, refund.cause.value).inc()


@joins_unit_of_work
def move_refund(
    *, refund: RefundRow, path: tuple[RefundStatus, ...], word: GatewayRefund | None, reason: Reason
) -> RefundRow:
    """Take the locked refund along `path`, post and tell every step that moves money, and say how it stands."""
    steps = list(zip((refund.status, *path), path, strict=False))
    for current, wanted in steps:
        check_refund_move(current, wanted)
    last = path[-1] if path else refund.status
    moved = replace(
        refund,
        status=last,
        gateway_refund_id=refund.gateway_refund_id or (word.refund_id if word else ""),
        failure_code=_failure_code(last, word, reason),
        review_reason="",
        tries=0,
        next_try_at=_first_turn(refund, last, word, reason.now),
        moved_at=reason.now,
    )
    _write(moved, steps or [(last, last)], _held(refund, last), reason)
    for _, reached in steps:
        _post_and_tell(replace(moved, status=reached), reason.now)
    return moved


@joins_unit_of_work
def hold_refund_for_review(*, refund: RefundRow, reason: Reason) -> RefundRow:
    """Leave the locked refund where it is, its amount held, until a person has looked; the clock asks no more."""
    held = replace(refund, review_reason=reason.why, next_try_at=None)
    _write(held, [(refund.status, refund.status)], _Held(), reason)
    return held


@joins_unit_of_work
def leave_refund_review(*, refund: RefundRow, reason: Reason) -> RefundRow:
    """Leave the locked refund as it is, and out of the review; nobody asks about it any more."""
    left = replace(refund, review_reason="", next_try_at=None)
    _write(left, [(refund.status, refund.status)], _Held(), reason)
    return left


def settled_refund(*, refund: RefundRow, outcome: Outcome, source: Source) -> RefundSettlement:
    """Return what a settlement did, counted and logged; called after the commit."""
    metrics.refund_settlements.labels(source.value, outcome.value).inc()
    ids = {
        "refund_id": str(refund.id),
        "payment_id": str(refund.attempt_id),
        "order_id": str(refund.order_id),
        "gateway": refund.gateway,
    }
    if outcome is Outcome.MOVED:
        metrics.refund_moves.labels(refund.gateway, refund.status.value).inc()
        undone = refund.status in {RefundStatus.REJECTED, RefundStatus.REVERSED}
        (log.warning if undone else log.info)(
            f"refund.{refund.status.value}", source=source.value, code=refund.failure_code, **ids
        )
    if outcome is Outcome.QUARANTINED:
        log.error("refund.quarantined", source=source.value, why=refund.review_reason, **ids)
    return RefundSettlement(refund_id=refund.id, outcome=outcome, status=refund.status.value)


def _first_turn(refund: RefundRow, last: RefundStatus, word: GatewayRefund | None, now: datetime) -> datetime | None:
    """Return when to look next; what an order cannot keep and the gateway refused to give back is looked into at once.

    What a bank rejected has a word of the gateway's, and is a person's.
    """
    if last is RefundStatus.REJECTED:
        return now if word is None and refund.cause in DUE else None
    return next_refund_try(status=last, tries=0, now=now)


def _failure_code(last: RefundStatus, word: GatewayRefund | None, reason: Reason) -> str:
    if last not in {RefundStatus.REJECTED, RefundStatus.REVERSED}:
        return ""
    return (word.failure_code or word.state.value) if word else reason.why


def _held(refund: RefundRow, last: RefundStatus) -> _Held:
    released = refund.status in HOLDING and last not in HOLDING
    back = (last is RefundStatus.SUCCEEDED) - (refund.status is RefundStatus.SUCCEEDED)
    return _Held(held=-refund.amount if released else 0, refunded=refund.amount * back)


def _write(refund: RefundRow, steps: _Steps, change: _Held, reason: Reason) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            _WRITE,
            {
                "id": refund.id,
                "status": refund.status.value,
                "gateway_refund_id": refund.gateway_refund_id,
                "failure_code": refund.failure_code,
                "review_reason": refund.review_reason,
                "tries": refund.tries,
                "next_try_at": refund.next_try_at,
                "moved_at": refund.moved_at,
                "held": change.held,
                "refunded": change.refunded,
                "at": reason.now,
                "source": reason.source.value,
                "why": reason.why,
                "ids": [new_id() for _ in steps],
                "from": [before.value for before, _ in steps],
                "to": [after.value for _, after in steps],
            },
        )


def _post_and_tell(refund: RefundRow, now: datetime) -> None:
    facts: dict[str, Any] = {
        "occurred_at": now,
        "refund_id": refund.id,
        "payment_id": refund.attempt_id,
        "order_id": refund.order_id,
        "user_id": refund.user_id,
        "guest": refund.guest,
        "gateway": refund.gateway,
        "amount": refund.money,
        "cause": refund.cause.value,
    }
    match refund.status:
        case RefundStatus.SUCCEEDED:
            ledger.post_refund(refund=refund, now=now)
            publish(RefundSucceeded(**facts))
        case RefundStatus.REJECTED:
            publish(RefundRejected(**facts, code=refund.failure_code))
        case RefundStatus.REVERSED:
            ledger.post_reversal(refund=refund, now=now)
            publish(RefundReversed(**facts, code=refund.failure_code))
        case _:
            pass
