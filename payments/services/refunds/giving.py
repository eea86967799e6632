"""Giving money back because somebody asks: written down and held, then sent at once if the gateway answers."""

from contextlib import suppress
from datetime import datetime
from uuid import UUID

import structlog

from payments.dto import RefundView
from payments.errors import RefundNotFound
from payments.ports import GatewayRefused, GatewayUnavailable
from payments.queries import refund, refund_row
from payments.services.refunds.adopting import adopt_refunds_of
from payments.services.refunds.requests import request_again, request_refund
from payments.services.refunds.settling import settle_refund
from payments.states import Source
from shop.kernel.money import Money
from shop.kernel.transactions import forbid_unit_of_work

log = structlog.get_logger(__name__)


def give_back(
    *, payment_id: UUID, amount: Money | None, reason: str, once: UUID | None = None, now: datetime
) -> RefundView:
    """Give back `amount` of a payment's money, or all that is left when None, and return the refund as it now stands.

    A gateway that does not answer leaves it to the clock; the same `once` gives back once. Raises PaymentNotFound and
    RefundExceedsCaptured.
    """
    forbid_unit_of_work("Giving money back")
    return _sent(request_refund(payment_id=payment_id, amount=amount, reason=reason, once=once, now=now), now)


def give_back_again(*, refund_id: UUID, now: datetime) -> RefundView:
    """Give back once more what a refund that came to nothing was to, or what is left of it, and return the new refund.

    However often it is asked for, it is done once. Raises RefundNotFound, RefundInReview, NothingLeftToRefund, and
    GatewayUnavailable: while nobody says whether it went back after all, nothing is given back anew.
    """
    forbid_unit_of_work("Giving money back")
    undone = refund_row(refund_id=refund_id)
    if undone is None:
        raise RefundNotFound(refund_id=refund_id)
    with suppress(GatewayRefused):
        # What went back without us, or after all, is not left.
        adopt_refunds_of(attempt_id=undone.attempt_id, source=Source.STAFF, now=now)
    return _sent(request_again(refund=undone, now=now), now)


def _sent(asked: RefundView, now: datetime) -> RefundView:
    try:
        settle_refund(refund_id=asked.refund_id, source=Source.STAFF, now=now)
    except (GatewayUnavailable, GatewayRefused) as error:
        log.warning("refund.not_sent_yet", refund_id=str(asked.refund_id), error=str(error))
    return refund(refund_id=asked.refund_id) or asked
