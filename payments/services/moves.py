"""The one mover of attempts: the new row, its history and its payable in one statement; then the fact is told."""

from dataclasses import dataclass, replace
from datetime import datetime

import structlog
from django.db import connection

from payments import metrics
from payments.dto import GatewaySession, Outcome, Settlement
from payments.events import PaymentFailed, PaymentSucceeded
from payments.queries import AttemptRow
from payments.services.schedule import next_poll
from payments.states import OPEN, AttemptStatus, Source, check_move
from shop.kernel.ids import new_id
from shop.kernel.money import Money
from shop.kernel.outbox.services import publish
from shop.kernel.transactions import joins_unit_of_work

log = structlog.get_logger(__name__)

# A payable whose money came is settled in the same breath, so that no further attempt can begin; one begun after the
# attempt that paid all the same is closed by the clock. What was captured, and the gateway's fee where it is known,
# enters the ledger here: see payments.services.ledger. The caller holds the locks of payable and attempt.
_WRITE = """
WITH attempt AS (
    UPDATE payments_attempt SET
        status = %(status)s::text, session_id = %(session_id)s::text, redirect_url = %(redirect_url)s::text,
        gateway_payment_id = %(gateway_payment_id)s::text,
        captured = CASE WHEN %(status)s::text = 'succeeded' THEN amount ELSE 0 END,
        failure_code = %(failure_code)s::text, review_reason = %(review_reason)s::text,
        polls = %(polls)s::int, next_poll_at = %(next_poll_at)s::timestamptz, moved_at = %(moved_at)s::timestamptz
    WHERE id = %(id)s::uuid
    RETURNING id, order_id, gateway, status, captured, currency
), settled AS (
    UPDATE payments_payable payable SET state = 'settled' FROM attempt
    WHERE payable.order_id = attempt.order_id AND payable.state = 'open' AND %(status)s::text = 'succeeded'
), superfluous AS (
    UPDATE payments_attempt other SET close_wanted = true, next_poll_at = %(at)s::timestamptz FROM attempt
    WHERE other.order_id = attempt.order_id AND other.id <> attempt.id AND %(status)s::text = 'succeeded'
      AND other.status IN ('created', 'pending', 'processing', 'unknown')
), entry (id, kind, debit, credit, amount, currency) AS (
    SELECT %(capture_id)s::uuid, 'capture', 'gateway_receivable', 'customer_liability', captured, currency::text
    FROM attempt WHERE status = 'succeeded'
    UNION ALL
    SELECT %(fee_id)s::uuid, 'fee', 'fees', 'gateway_receivable', %(fee)s::bigint, %(fee_currency)s::text
    FROM attempt WHERE status = 'succeeded' AND %(fee)s::bigint > 0
), ledger AS (
    INSERT INTO payments_posting (id, kind, source_id, order_id, attempt_id, gateway, debit, credit, amount,
                                  currency, at)
    SELECT entry.id, entry.kind, attempt.id, attempt.order_id, attempt.id, attempt.gateway, entry.debit,
           entry.credit, entry.amount, entry.currency, %(at)s::timestamptz
    FROM attempt, entry
)
INSERT INTO payments_move (id, attempt_id, at, from_status, to_status, source, why)
SELECT step.id, attempt.id, %(at)s::timestamptz, step.from_status, step.to_status, %(source)s::text, %(why)s::text
FROM attempt, unnest(%(ids)s::uuid[], %(from)s::text[], %(to)s::text[]) AS step (id, from_status, to_status)
"""
_HAND_OUT = """
WITH attempt AS (
    UPDATE payments_attempt SET status = 'pending', session_id = %(session_id)s::text,
        redirect_url = %(redirect_url)s::text, polls = 0,
        next_poll_at = CASE WHEN close_wanted THEN next_poll_at ELSE %(next_poll_at)s::timestamptz END,
        moved_at = %(now)s::timestamptz
    WHERE id = %(id)s::uuid AND status = %(status)s::text AND review_reason = ''
    RETURNING id
)
INSERT INTO payments_move (id, attempt_id, at, from_status, to_status, source, why)
SELECT %(move_id)s::uuid, id, %(now)s::timestamptz, %(status)s::text, 'pending', 'start', 'the gateway says open'
FROM attempt
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Who made an attempt move, why, and when."""

    source: Source
    why: str
    now: datetime


@joins_unit_of_work
def move(
    *, attempt: AttemptRow, path: tuple[AttemptStatus, ...], word: GatewaySession | None, reason: Reason
) -> AttemptRow:
    """Take the locked attempt along `path`, keep what the gateway's word adds, and tell how it ended."""
    statuses = (attempt.status, *path)
    for current, wanted in zip(statuses, path, strict=False):
        check_move(current, wanted)
    last = statuses[-1]
    moved = replace(
        attempt,
        status=last,
        session_id=attempt.session_id or (word.session_id if word else ""),
        gateway_payment_id=attempt.gateway_payment_id or (word.payment_id if word else ""),
        redirect_url=attempt.redirect_url or (word.redirect_url if word else ""),
        failure_code=_failure_code(last, word, reason),
        review_reason="",
        polls=0,
        moved_at=reason.now,
    )
    asked_again = next_poll(status=last, polls=0, now=reason.now) if moved.session_id or last in OPEN else None
    moved = replace(moved, next_poll_at=asked_again)
    _write(moved, list(zip(statuses, path or (last,), strict=False)), reason, fee=word.fee if word else None)
    if path:
        _tell(moved, reason.now)
    return moved


@joins_unit_of_work
def hand_out(*, attempt: AttemptRow, word: GatewaySession, now: datetime) -> AttemptRow | None:
    """Take an attempt whose open session was just made to `pending`; None when something else has moved it.

    The ordinary answer of every payment needs no lock: the row is changed only if it still is as it was read.
    """
    check_move(attempt.status, AttemptStatus.PENDING)
    pending = replace(
        attempt,
        status=AttemptStatus.PENDING,
        session_id=word.session_id,
        redirect_url=word.redirect_url,
        next_poll_at=next_poll(status=AttemptStatus.PENDING, polls=0, now=now),
        moved_at=now,
    )
    with connection.cursor() as cursor:
        cursor.execute(
            _HAND_OUT,
            {
                "id": attempt.id,
                "status": attempt.status.value,
                "session_id": word.session_id,
                "redirect_url": word.redirect_url,
                "next_poll_at": pending.next_poll_at,
                "now": now,
                "move_id": new_id(),
            },
        )
        return pending if cursor.rowcount == 1 else None


@joins_unit_of_work
def hold_for_review(*, attempt: AttemptRow, reason: Reason) -> AttemptRow:
    """Leave the locked attempt where it is until a person has looked; the clock only closes what is to be closed."""
    to_be_closed = attempt.close_wanted and attempt.session_id and reason.source is not Source.ORDER_CANCELLED
    held = replace(attempt, review_reason=reason.why, next_poll_at=attempt.next_poll_at if to_be_closed else None)
    _write(held, [(attempt.status, attempt.status)], reason)
    return held


@joins_unit_of_work
def leave_review(*, attempt: AttemptRow, reason: Reason) -> AttemptRow:
    """Leave the locked attempt as it is, and out of the review; nobody asks about it any more."""
    left = replace(attempt, review_reason="", next_poll_at=None)
    _write(left, [(attempt.status, attempt.status)], reason)
    return left


def settled(*, attempt: AttemptRow, outcome: Outcome, source: Source) -> Settlement:
    """Return what a settlement did, counted and logged; called after the commit."""
    metrics.settlements.labels(source.value, outcome.value).inc()
    ids = {"payment_id": str(attempt.id), "order_id": str(attempt.order_id), "gateway": attempt.gateway}
    if outcome in {Outcome.MOVED, Outcome.CORRECTED}:
        metrics.moves.labels(attempt.gateway, attempt.status.value).inc()
        named = f"payment.{attempt.status.value}"
        log.info(named, source=source.value, **ids)
    if outcome is Outcome.CORRECTED:
        metrics.late_money.labels(attempt.gateway).inc()
        log.warning("payment.corrected_to_match_the_gateway", source=source.value, **ids)
    if outcome is Outcome.QUARANTINED:
        log.error("payment.quarantined", source=source.value, why=attempt.review_reason, **ids)
    return Settlement(payment_id=attempt.id, outcome=outcome, status=attempt.status.value)


def _failure_code(last: AttemptStatus, word: GatewaySession | None, reason: Reason) -> str:
    match last:
        case AttemptStatus.FAILED if word is None:
            return reason.why
        case AttemptStatus.FAILED if word is not None:
            return word.failure_code or word.state.value
        case AttemptStatus.CANCELLED | AttemptStatus.EXPIRED:
            return last.value
        case _:
            return ""


def _write(
    attempt: AttemptRow, steps: list[tuple[AttemptStatus, AttemptStatus]], reason: Reason, fee: Money | None = None
) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            _WRITE,
            {
                "id": attempt.id,
                "status": attempt.status.value,
                "session_id": attempt.session_id,
                "gateway_payment_id": attempt.gateway_payment_id,
                "redirect_url": attempt.redirect_url,
                "failure_code": attempt.failure_code,
                "review_reason": attempt.review_reason,
                "polls": attempt.polls,
                "next_poll_at": attempt.next_poll_at,
                "moved_at": attempt.moved_at,
                "at": reason.now,
                "source": reason.source.value,
                "why": reason.why,
                "ids": [new_id() for _ in steps],
                "from": [before.value for before, _ in steps],
                "to": [after.value for _, after in steps],
                "capture_id": new_id(),
                "fee_id": new_id(),
                "fee": fee.amount if fee else 0,
                "fee_currency": fee.currency if fee else attempt.currency,
            },
        )


def _tell(attempt: AttemptRow, now: datetime) -> None:
    match attempt.status:
        case AttemptStatus.SUCCEEDED:
            publish(
                PaymentSucceeded(
                    occurred_at=now,
                    payment_id=attempt.id,
                    order_id=attempt.order_id,
                    user_id=attempt.user_id,
                    guest=attempt.guest,
                    gateway=attempt.gateway,
                    gateway_reference=attempt.session_id,
                    amount=attempt.money,
                )
            )
        case AttemptStatus.FAILED | AttemptStatus.CANCELLED | AttemptStatus.EXPIRED:
            publish(
                PaymentFailed(
                    occurred_at=now,
                    payment_id=attempt.id,
                    order_id=attempt.order_id,
                    user_id=attempt.user_id,
                    guest=attempt.guest,
                    gateway=attempt.gateway,
                    amount=attempt.money,
                    reason="declined" if attempt.status is AttemptStatus.FAILED else attempt.status.value,
                    code=attempt.failure_code,
                )
            )
        case _:
            pass
