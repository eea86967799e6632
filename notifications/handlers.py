"""News of orders and payments, told to whom they concern.

An order that runs out of time is told of once, on `order.expired`: the attempts that expire with it would say the same,
and an order nobody ever tried to pay has none. Who cancels a payment knows it already. A refund that the gateway
refuses concerns the staff; the shopper is told once money is on its way, or has come back to the shop.
"""

from typing import Any
from uuid import UUID

from notifications.dto import Notice, Template
from notifications.services import webhooks, write
from orders.events import OrderCancelled, OrderCreated, OrderExpired, OrderFulfilled
from payments.events import PaymentFailed, PaymentSucceeded, RefundRejected, RefundReversed, RefundSucceeded
from shop.kernel.clock import utc_now
from shop.kernel.events import Event

OrderFact = OrderCancelled | OrderCreated | OrderExpired | OrderFulfilled
RefundFact = RefundRejected | RefundReversed | RefundSucceeded
Fact = OrderFact | PaymentFailed | PaymentSucceeded | RefundFact

_SAID_ELSEWHERE = frozenset({"cancelled", "expired"})


def order_created(*, event: OrderCreated, event_id: UUID) -> None:
    """Confirm the order."""
    _write(Template.ORDER_CONFIRMATION, event, event_id)


def order_expired(*, event: OrderExpired, event_id: UUID) -> None:
    """Tell that the time to pay ran out."""
    _write(Template.PAYMENT_EXPIRED, event, event_id)


def order_cancelled(*, event: OrderCancelled, event_id: UUID) -> None:
    """Tell that the order was called off, and what becomes of money that was paid."""
    _write(Template.ORDER_CANCELLED, event, event_id, cause=event.reason)


def order_fulfilled(*, event: OrderFulfilled, event_id: UUID) -> None:
    """Tell that the goods are on their way."""
    _write(Template.ORDER_FULFILLED, event, event_id)


def payment_succeeded(*, event: PaymentSucceeded, event_id: UUID) -> None:
    """Send the receipt."""
    _write(Template.PAYMENT_RECEIPT, event, event_id, amount=event.amount)


def payment_failed(*, event: PaymentFailed, event_id: UUID) -> None:
    """Tell why the payment failed, and the way to try again."""
    if event.reason not in _SAID_ELSEWHERE:
        _write(Template.PAYMENT_FAILED, event, event_id, amount=event.amount, failure_code=event.code)


def refund_succeeded(*, event: RefundSucceeded, event_id: UUID) -> None:
    """Tell that money is on its way back, and why."""
    _write_of_refund(Template.REFUND_SENT, event, event_id)


def refund_reversed(*, event: RefundReversed, event_id: UUID) -> None:
    """Tell that the money came back to the shop, and what happens next."""
    _write_of_refund(Template.REFUND_REVERSED, event, event_id, failure_code=event.code)


def refund_rejected(*, event: RefundRejected, event_id: UUID) -> None:
    """Ask the staff to give the money back another way."""
    _write_of_refund(Template.REFUND_REJECTED, event, event_id, failure_code=event.code)


def _write_of_refund(template: Template, event: RefundFact, event_id: UUID, *, failure_code: str = "") -> None:
    _write(
        template,
        event,
        event_id,
        amount=event.amount,
        failure_code=failure_code,
        cause=event.cause,
        payment_id=event.payment_id,
    )


def told_to_merchants(*, event: Event, event_id: UUID) -> None:
    """Tell merchants' systems that hear such events."""
    webhooks.tell(event=event, event_id=event_id, now=utc_now())


def _write(template: Template, event: Fact, event_id: UUID, **said: Any) -> None:
    notice = Notice(
        event_id=event_id,
        template=template,
        order_id=event.order_id,
        user_id=event.user_id,
        guest=event.guest,
        occurred_at=event.occurred_at,
        **said,
    )
    write(notice=notice, now=utc_now())
