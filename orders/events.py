"""The facts orders publish. Key and aggregate: the order."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from shop.kernel.events import Event
from shop.kernel.money import Money


@dataclass(frozen=True, slots=True)
class OrderedLine:
    """One line as the analytics and the warehouse need it; no names of people, no addresses."""

    sku: str
    name: str
    quantity: int
    unit_price: Money
    line_total: Money


class OrderCreated(Event, topic="order.created", aggregate="order", key="order_id"):
    """The shopper has confirmed; the order waits for its money until `payment_deadline`."""

    order_id: UUID
    number: str
    user_id: UUID
    guest: bool
    lines: tuple[OrderedLine, ...]
    shipping: Money
    tax: Money
    total: Money
    payment_deadline: datetime


class OrderPaid(Event, topic="order.paid", aggregate="order", key="order_id"):
    """The captured money covers the total; the stock is committed. Without `payment_id`, there was nothing to pay."""

    order_id: UUID
    number: str
    user_id: UUID
    guest: bool
    payment_id: UUID | None
    total: Money


class OrderCancelled(Event, topic="order.cancelled", aggregate="order", key="order_id"):
    """The shopper or the staff has called the order off."""

    order_id: UUID
    number: str
    user_id: UUID
    guest: bool
    total: Money
    reason: str
    was_paid: bool


class OrderExpired(Event, topic="order.expired", aggregate="order", key="order_id"):
    """Nobody paid before the deadline and every attempt is closed at the gateway."""

    order_id: UUID
    number: str
    user_id: UUID
    guest: bool
    total: Money


class OrderFulfilled(Event, topic="order.fulfilled", aggregate="order", key="order_id"):
    """The goods are on their way."""

    order_id: UUID
    number: str
    user_id: UUID
    guest: bool
    tracking: str


class OrderRefundDue(Event, topic="order.refund_due", aggregate="order", key="order_id"):
    """Money came that the order cannot keep: late, double or surplus, or the paid order was cancelled."""

    order_id: UUID
    number: str
    user_id: UUID
    guest: bool
    payment_id: UUID
    amount: Money
    reason: str
