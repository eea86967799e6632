"""The facts payments publish. Key and aggregate id: the order whose money it is."""

from uuid import UUID

from shop.kernel.events import Event
from shop.kernel.money import Money


class PaymentSucceeded(Event, topic="payment.success", aggregate="payment", key="order_id"):
    """The gateway's word is in and amount, currency and reference match."""

    payment_id: UUID
    order_id: UUID
    user_id: UUID
    guest: bool
    gateway: str
    gateway_reference: str
    amount: Money


class PaymentFailed(Event, topic="payment.failed", aggregate="payment", key="order_id"):
    """The attempt brought no money. `reason`: `declined`, `cancelled`, `expired`; `code` as the gateway put it."""

    payment_id: UUID
    order_id: UUID
    user_id: UUID
    guest: bool
    gateway: str
    amount: Money
    reason: str
    code: str
