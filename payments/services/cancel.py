"""Calling a payment off: at the gateway first, which may answer that the money is there already."""

from datetime import datetime
from uuid import UUID

from payments.dto import PaymentView
from payments.errors import GatewayDeniesPayment, GatewayDown, PaymentNotFound
from payments.ports import GatewayRefused, GatewayUnavailable
from payments.queries import AttemptRow, attempt_row, view_of
from payments.services.circuits import retry_after
from payments.services.settling import close_row, settle_row
from payments.states import UNANSWERED, AttemptStatus, Source, check_move
from shop.kernel.auth.dto import Caller
from shop.kernel.errors import IllegalTransition
from shop.kernel.transactions import forbid_unit_of_work


def cancel_attempt(*, caller: Caller, payment_id: UUID, now: datetime) -> PaymentView:
    """Close the payment's session at the gateway and cancel it; one cancelled before is returned as it is.

    Raises PaymentNotFound, GatewayDown, GatewayDeniesPayment, and IllegalTransition when it is final, under way or in
    review: a session the gateway will not close because it is paid is adopted as paid first.
    """
    forbid_unit_of_work("Cancelling a payment")
    attempt = attempt_row(attempt_id=payment_id)
    if attempt is None or not (caller.staff or attempt.user_id == caller.id):
        raise PaymentNotFound(payment_id=payment_id)
    if attempt.status is AttemptStatus.CANCELLED:
        return view_of(row=attempt)
    if attempt.quarantined:
        raise IllegalTransition(entity="A payment", current="in_review", wanted=AttemptStatus.CANCELLED)
    source = Source.STAFF if caller.staff else Source.SHOPPER
    try:
        closed = _closed(attempt, source, now)
    except GatewayUnavailable as error:
        raise GatewayDown(payment_id=payment_id, retry_after_seconds=retry_after(error)) from None
    except GatewayRefused as error:
        raise GatewayDeniesPayment(payment_id=payment_id, why=error.code) from None
    if closed.status is not AttemptStatus.CANCELLED:
        check_move(closed.status, AttemptStatus.CANCELLED)
        raise IllegalTransition(entity="A payment", current=closed.status, wanted=AttemptStatus.CANCELLED)
    return view_of(row=closed)


def _closed(attempt: AttemptRow, source: Source, now: datetime) -> AttemptRow:
    if attempt.status in UNANSWERED:
        settle_row(attempt=attempt, source=source, now=now)
        attempt = _again(attempt)
    check_move(attempt.status, AttemptStatus.CANCELLED)
    close_row(attempt=attempt, source=source, now=now)
    return _again(attempt)


def _again(attempt: AttemptRow) -> AttemptRow:
    return attempt_row(attempt_id=attempt.id) or attempt
