"""News from payments. Payments lie above orders, so their facts are known here by shape, not by name."""

from typing import Protocol
from uuid import UUID

from orders import services
from shop.kernel.clock import utc_now
from shop.kernel.money import Money


class PaymentSucceeded(Protocol):
    """`payment.success`: the gateway's word is in, and amount, currency and reference match."""

    @property
    def order_id(self) -> UUID:
        """Whose money it is."""

    @property
    def payment_id(self) -> UUID:
        """The attempt that brought it."""

    @property
    def amount(self) -> Money:
        """What was captured."""


class PaymentFailed(Protocol):
    """`payment.failed`: the attempt brought no money."""

    @property
    def order_id(self) -> UUID:
        """Whose attempt it was."""

    @property
    def reason(self) -> str:
        """`declined`, `cancelled` or `expired`."""

    @property
    def code(self) -> str:
        """The reason as the gateway put it."""


def payment_succeeded(*, event: PaymentSucceeded, event_id: UUID) -> None:  # noqa: ARG001  every handler's signature
    """Count the money; the payment's own id makes a repetition harmless."""
    services.mark_paid(order_id=event.order_id, payment_id=event.payment_id, amount=event.amount, now=utc_now())


def payment_failed(*, event: PaymentFailed, event_id: UUID) -> None:
    """Tell the order's timeline."""
    services.note_failed_payment(
        order_id=event.order_id, event_id=event_id, reason=event.reason, code=event.code, now=utc_now()
    )
