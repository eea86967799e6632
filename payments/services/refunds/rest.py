"""Money an order cannot keep and that did not all go back: what the gateway gave back without us, then the rest."""

from datetime import datetime
from uuid import UUID, uuid5

import structlog
from django.conf import settings

from payments.dto import Outcome, RefundSettlement, RefundView
from payments.errors import PaymentNotFound
from payments.models import Refund
from payments.queries import RefundRow, attempt_row, lock_payment, lock_refund, refund_rows
from payments.services.refunds.adopting import adopt_refunds_of
from payments.services.refunds.moves import settled_refund
from payments.services.refunds.requests import refundable, request_due_refund
from payments.states import DUE, HOLDING, RefundCause, Source
from shop.kernel.money import Money
from shop.kernel.transactions import forbid_unit_of_work, unit_of_work

log = structlog.get_logger(__name__)


def give_back_rest(*, refund: RefundRow, source: Source, now: datetime) -> RefundSettlement:
    """Write down what the gateway gave back without us, and ask once for what is then left of a refused refund.

    Only less than what was refused is asked for, so that it comes to an end. Raises GatewayUnavailable, GatewayRefused.
    """
    adopt_refunds_of(attempt_id=refund.attempt_id, source=source, now=now)
    _ask_for_rest(refund, now)
    return settled_refund(refund=refund, outcome=Outcome.UNCHANGED, source=source)


def give_back_due(
    *, payment_id: UUID, due: Money, cause: RefundCause, source: Source, now: datetime
) -> RefundView | None:
    """Ask for what no refund holds of money a closed order has declared due back; None for nothing.

    May be done twice: what was asked for is held, and as much as was refused before is a person's. Raises
    GatewayUnavailable, GatewayRefused and PaymentNotFound.
    """
    forbid_unit_of_work("Giving due money back")
    adopt_refunds_of(attempt_id=payment_id, source=source, now=now)
    return _ask_for_due(payment_id, due, cause, now)


@unit_of_work
def _ask_for_rest(refund: RefundRow, now: datetime) -> None:
    current = lock_refund(refund_id=refund.id, order_id=refund.order_id)
    attempt = attempt_row(attempt_id=refund.attempt_id)
    # Whoever looked at the same time has asked, or what the gateway says of this refund is a person's.
    if current is None or attempt is None or current.next_try_at is None:
        return
    left = refundable(attempt=attempt)
    if left < current.money:
        Refund.objects.filter(id=current.id).update(next_try_at=None)
        if left:
            request_due_refund(
                payment_id=current.attempt_id,
                amount=left,
                cause=current.cause,
                due_event_id=uuid5(current.id, "rest"),
                now=now,
            )
    elif current.tries >= len(settings.PAYMENT_REFUND_POLL_DELAYS_SECONDS):
        # The gateway's list never told why it refused.
        Refund.objects.filter(id=current.id).update(next_try_at=None)
        log.error("refund.refusal_unexplained", refund_id=str(current.id), code=current.failure_code)


@unit_of_work
def _ask_for_due(payment_id: UUID, due: Money, cause: RefundCause, now: datetime) -> RefundView | None:
    attempt = lock_payment(payment_id=payment_id)
    if attempt is None:
        raise PaymentNotFound(payment_id=payment_id)
    owed = due - Money(attempt.refund_held, attempt.currency)
    refused = [row.money for row in refund_rows(attempt_id=payment_id) if _came_to_nothing(row)]
    if owed <= Money.zero(attempt.currency) or any(money <= owed for money in refused):
        return None
    return request_due_refund(payment_id=payment_id, amount=owed, cause=cause, due_event_id=None, now=now)


def _came_to_nothing(refund: RefundRow) -> bool:
    return refund.cause in DUE and refund.status not in HOLDING
