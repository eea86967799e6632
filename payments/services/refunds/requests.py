"""Asking for money back: the row is committed, its amount held, before any gateway hears of it."""

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID, uuid5

import structlog

from payments.dto import RefundView
from payments.errors import NothingLeftToRefund, PaymentNotFound, RefundExceedsCaptured, RefundInReview
from payments.models import Attempt, Refund
from payments.queries import AttemptRow, RefundRow, lock_payment, lock_refund, refund_of_event, refund_view
from payments.services.moves import Reason
from payments.services.refunds.moves import hold
from payments.services.schedule import LEASE_SECONDS
from payments.states import RefundCause, RefundStatus, Source
from shop.kernel.ids import new_id
from shop.kernel.money import Money
from shop.kernel.tasks import wake
from shop.kernel.transactions import joins_unit_of_work, unit_of_work

log = structlog.get_logger(__name__)

SETTLE = "payments.tasks.settle_refund"


@unit_of_work
def request_refund(
    *,
    payment_id: UUID,
    amount: Money | None,
    reason: str,
    once: UUID | None = None,
    now: datetime,
) -> RefundView:
    """Ask for `amount` of a payment's money to go back, or for all that is left of it when None.

    `once` names the wish: the same name again is answered with the refund it became. The caller goes on with
    `settle_refund`; if it does not live to, the clock does. Raises PaymentNotFound and RefundExceedsCaptured, which
    says what is refundable.
    """
    attempt = _locked(payment_id)
    known = refund_of_event(due_event_id=once) if once else None
    if known is not None:
        return refund_view(row=known)
    left = refundable(attempt=attempt)
    wanted = left if amount is None else amount
    if wanted.currency != left.currency or not Money.zero(left.currency) < wanted <= left:
        raise RefundExceedsCaptured(payment_id=payment_id, refundable=left)
    return _requested(attempt, wanted, reason=reason, once=once, now=now)


@unit_of_work
def request_again(*, refund: RefundRow, now: datetime) -> RefundView:
    """Ask once more for what a refund that came to nothing was to give back, or for what is left of it, once.

    The caller goes on as after `request_refund`. Raises PaymentNotFound, NothingLeftToRefund, and RefundInReview when
    the gateway says by now that the money went back after all.
    """
    attempt = _locked(refund.attempt_id)
    current = lock_refund(refund_id=refund.id, order_id=refund.order_id)
    if current is None or current.review_reason:
        raise RefundInReview(refund_id=refund.id)
    once = uuid5(refund.id, "again")
    known = refund_of_event(due_event_id=once)
    if known is not None:
        return refund_view(row=known)
    wanted = min(refund.money, refundable(attempt=attempt))
    if not wanted:
        raise NothingLeftToRefund(payment_id=attempt.id)
    # A person has taken it on: what is held from now on must not look as if the gateway had given it back.
    Refund.objects.filter(id=refund.id).update(next_try_at=None)
    return _requested(attempt, wanted, reason=refund.reason or f"Once more: {refund.cause}", once=once, now=now)


@joins_unit_of_work
def request_due_refund(
    *, payment_id: UUID, amount: Money, cause: RefundCause, due_event_id: UUID | None, now: datetime
) -> RefundView | None:
    """Ask for money back that an order cannot keep, once for each event that has an id, and have it sent afterwards.

    Where less is left than is due, because some of it went back already, what is left goes back; None for nothing.
    Raises PaymentNotFound.
    """
    attempt = _locked(payment_id)
    known = refund_of_event(due_event_id=due_event_id) if due_event_id else None
    if known is not None:
        return refund_view(row=known)
    left = refundable(attempt=attempt)
    owed = min(amount, left)
    if owed < amount:
        log.warning("refund.less_is_left", payment_id=str(payment_id), due=amount.amount, left=left.amount)
    if not owed:
        return None
    refund = new_refund(attempt=attempt, amount=owed, cause=cause, now=now)
    hold(refund=refund, due_event_id=due_event_id, reason=Reason(source=Source.ORDER, why=cause.value, now=now))
    wake(SETTLE, refund_id=str(refund.id))
    return refund_view(row=refund)


def refundable(*, attempt: AttemptRow | Attempt) -> Money:
    """Return what came and is neither back nor on its way back."""
    return Money(attempt.captured - attempt.refund_held, attempt.currency)


def new_refund(*, attempt: AttemptRow, amount: Money, cause: RefundCause, now: datetime) -> RefundRow:
    """Return a refund nobody has heard of, due at once."""
    return RefundRow(
        id=new_id(),
        attempt_id=attempt.id,
        order_id=attempt.order_id,
        user_id=attempt.user_id,
        guest=attempt.guest,
        gateway=attempt.gateway,
        session_id=attempt.session_id,
        gateway_payment_id=attempt.gateway_payment_id,
        gateway_refund_id="",
        status=RefundStatus.REQUESTED,
        amount=amount.amount,
        currency=amount.currency,
        cause=cause,
        reason="",
        failure_code="",
        review_reason="",
        tries=0,
        next_try_at=now,
        created_at=now,
        moved_at=now,
    )


def _requested(attempt: AttemptRow, amount: Money, *, reason: str, once: UUID | None, now: datetime) -> RefundView:
    refund = new_refund(attempt=attempt, amount=amount, cause=RefundCause.REQUESTED, now=now)
    first_turn = now + timedelta(seconds=LEASE_SECONDS)
    refund = replace(refund, reason=reason, next_try_at=first_turn)
    hold(refund=refund, due_event_id=once, reason=Reason(source=Source.STAFF, why=refund.cause.value, now=now))
    return refund_view(row=refund)


def _locked(payment_id: UUID) -> AttemptRow:
    attempt = lock_payment(payment_id=payment_id)
    if attempt is None:
        raise PaymentNotFound(payment_id=payment_id)
    return attempt
