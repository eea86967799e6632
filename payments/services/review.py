"""What a person decides about payments and refunds that wait for one: that nothing more will come of them.

The gateway is asked first, by the one settle path: only what it denies, or still contradicts us about, is given up.
"""

from contextlib import suppress
from datetime import datetime
from uuid import UUID

from payments.dto import GatewayRefund, Outcome, RefundSettlement, RefundState, Settlement
from payments.errors import NotInReview, PaymentNotFound, RefundAtGateway, RefundNotFound
from payments.models import Attempt
from payments.ports import GatewayRefused
from payments.queries import AttemptRow, RefundRow, attempt_row, lock_attempt, lock_refund, refund_row, refund_rows
from payments.services import gateways
from payments.services.moves import Reason, leave_review, move, settled
from payments.services.refunds.moves import leave_refund_review, move_refund, settled_refund
from payments.services.settling import close_row, settle_row
from payments.states import OPEN, AttemptStatus, RefundStatus, Source, refund_moves_to
from shop.kernel.transactions import forbid_unit_of_work, unit_of_work

_UNDER_WAY = frozenset({RefundStatus.REQUESTED, RefundStatus.SUBMITTED, RefundStatus.UNKNOWN})


def give_up_payment(*, payment_id: UUID, now: datetime) -> Settlement:
    """End without its money a payment whose session the gateway denies, or contradicts us about; the order goes on.

    What the gateway took is given back there. One that had ended already only leaves the review. Raises NotInReview
    when the gateway's word is fine, which is adopted, PaymentNotFound, and GatewayUnavailable.
    """
    forbid_unit_of_work("Giving up a payment")
    attempt = attempt_row(attempt_id=payment_id)
    if attempt is None:
        raise PaymentNotFound(payment_id=payment_id)
    try:
        settle_row(attempt=attempt, source=Source.STAFF, now=now)
        denied = ""
    except GatewayRefused as error:
        denied = error.code
    if not denied:
        _close(payment_id, now)
    ended, outcome = _end(attempt, Reason(source=Source.STAFF, why=denied or "given_up", now=now), denied=bool(denied))
    return settled(attempt=ended, outcome=outcome, source=Source.STAFF)


def give_up_refund(*, refund_id: UUID, now: datetime) -> RefundSettlement:
    """Call a refund in review rejected that the gateway does not have; then its amount can be given back anew.

    One that had ended already only leaves the review. Raises RefundAtGateway when the gateway has it, NotInReview,
    RefundNotFound, GatewayUnavailable, and GatewayRefused when the gateway does not list the payment's refunds.
    """
    forbid_unit_of_work("Giving up a refund")
    refund = refund_row(refund_id=refund_id)
    if refund is None:
        raise RefundNotFound(refund_id=refund_id)
    if refund.status in _UNDER_WAY and (word := _at_gateway(refund)):
        raise RefundAtGateway(refund_id=refund_id, state=word.state.value)
    ended, outcome = _reject(refund, Reason(source=Source.STAFF, why="given_up", now=now))
    return settled_refund(refund=ended, outcome=outcome, source=Source.STAFF)


def _at_gateway(refund: RefundRow) -> GatewayRefund | None:
    """Return what the gateway has of the refund and did not reject: named so, or of its amount and nobody else's."""
    others = {row.gateway_refund_id for row in refund_rows(attempt_id=refund.attempt_id)} - {refund.gateway_refund_id}
    for word in gateways.list_refunds(of=refund):
        named = word.reference == str(refund.id) or word.refund_id == refund.gateway_refund_id
        looks_like_it = word.amount == refund.money and word.refund_id not in others
        if word.state is not RefundState.REJECTED and (named or looks_like_it):
            return word
    return None


def _close(payment_id: UUID, now: datetime) -> None:
    """Have nobody pay on a page that is given up, as far as the gateway closes it."""
    attempt = attempt_row(attempt_id=payment_id)
    if attempt is not None and attempt.review_reason and attempt.status in OPEN and attempt.session_id:
        with suppress(GatewayRefused):
            close_row(attempt=attempt, source=Source.STAFF, now=now)


@unit_of_work
def _end(attempt: AttemptRow, reason: Reason, *, denied: bool) -> tuple[AttemptRow, Outcome]:
    current = lock_attempt(attempt_id=attempt.id, order_id=attempt.order_id)
    if current is None:
        raise PaymentNotFound(payment_id=attempt.id)
    if not (current.review_reason or (denied and current.status in OPEN)):
        raise NotInReview(entity="payment")
    if current.status not in OPEN:
        return leave_review(attempt=current, reason=reason), Outcome.UNCHANGED
    failed = move(attempt=current, path=(AttemptStatus.FAILED,), word=None, reason=reason)
    if not denied:
        # Another look would find the same contradiction. What is denied may be known there again.
        Attempt.objects.filter(id=current.id).update(next_poll_at=None)
    return failed, Outcome.MOVED


@unit_of_work
def _reject(refund: RefundRow, reason: Reason) -> tuple[RefundRow, Outcome]:
    current = lock_refund(refund_id=refund.id, order_id=refund.order_id)
    if current is None:
        raise RefundNotFound(refund_id=refund.id)
    if not current.review_reason:
        raise NotInReview(entity="refund")
    if current.status not in _UNDER_WAY:
        return leave_refund_review(refund=current, reason=reason), Outcome.UNCHANGED
    path = refund_moves_to(current.status, RefundState.REJECTED)
    return move_refund(refund=current, path=path, word=None, reason=reason), Outcome.MOVED
