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


class RefundSucceeded(Event, topic="refund.succeeded", aggregate="payment", key="order_id"):
    """The gateway has given the money back. `cause`: who or what wanted that, see `payments.states.RefundCause`."""

    refund_id: UUID
    payment_id: UUID
    order_id: UUID
    user_id: UUID
    guest: bool
    gateway: str
    amount: Money
    cause: str


class RefundRejected(Event, topic="refund.rejected", aggregate="payment", key="order_id"):
    """The gateway has refused to give the money back; it is still the shop's. `code` as the gateway put it."""

    refund_id: UUID
    payment_id: UUID
    order_id: UUID
    user_id: UUID
    guest: bool
    gateway: str
    amount: Money
    cause: str
    code: str


class RefundReversed(Event, topic="refund.reversed", aggregate="payment", key="order_id"):
    """Money that had been given back came back to the shop: the customer does not have it."""

    refund_id: UUID
    payment_id: UUID
    order_id: UUID
    user_id: UUID
    guest: bool
    gateway: str
    amount: Money
    cause: str
    code: str
