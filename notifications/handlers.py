"""News of orders and payments, told to whom they concern.

An order that runs out of time is told of once, on `order.expired`: the attempts that expire with it would say the same,
and an order nobody ever tried to pay has none. Who cancels a payment knows it already.
"""

from uuid import UUID

from notifications.dto import Notice, Template
from notifications.services import write
from orders.events import OrderCreated, OrderExpired
from payments.events import PaymentFailed, PaymentSucceeded
from shop.kernel.clock import utc_now
from shop.kernel.money import Money

Fact = OrderCreated | OrderExpired | PaymentFailed | PaymentSucceeded

_SAID_ELSEWHERE = frozenset({"cancelled", "expired"})


def order_created(*, event: OrderCreated, event_id: UUID) -> None:
    """Confirm the order."""
    _write(Template.ORDER_CONFIRMATION, event, event_id, event.total)


def order_expired(*, event: OrderExpired, event_id: UUID) -> None:
    """Tell that the time to pay ran out."""
    _write(Template.PAYMENT_EXPIRED, event, event_id, event.total)


def payment_succeeded(*, event: PaymentSucceeded, event_id: UUID) -> None:
    """Send the receipt."""
    _write(Template.PAYMENT_RECEIPT, event, event_id, event.amount)


def payment_failed(*, event: PaymentFailed, event_id: UUID) -> None:
    """Tell why the payment failed, and the way to try again."""
    if event.reason not in _SAID_ELSEWHERE:
        _write(Template.PAYMENT_FAILED, event, event_id, event.amount, failure_code=event.code)


def _write(template: Template, event: Fact, event_id: UUID, amount: Money, *, failure_code: str = "") -> None:
    notice = Notice(
        event_id=event_id,
        template=template,
        order_id=event.order_id,
        user_id=event.user_id,
        guest=event.guest,
        amount=amount,
        occurred_at=event.occurred_at,
        failure_code=failure_code,
    )
    write(notice=notice, now=utc_now())
