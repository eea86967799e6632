"""News from payments. Payments lie above orders, so their facts are known here by shape, not by name."""

from typing import Protocol
from uuid import UUID

from orders import services
from orders.dto import RefundNews, RefundTold
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


class RefundMade(Protocol):
    """`refund.succeeded`: the gateway gave money back."""

    @property
    def refund_id(self) -> UUID:
        """Which refund; a payment may have several."""

    @property
    def order_id(self) -> UUID:
        """Whose money it was."""

    @property
    def payment_id(self) -> UUID:
        """The attempt that had brought it."""

    @property
    def amount(self) -> Money:
        """What went back."""

    @property
    def cause(self) -> str:
        """Why, in a word of payments'."""


class RefundUndone(RefundMade, Protocol):
    """`refund.rejected`, `refund.reversed`: the shopper does not have the money."""

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


def refund_succeeded(*, event: RefundMade, event_id: UUID) -> None:
    """Count the money that went back."""
    _note(event, event_id, RefundTold.SUCCEEDED, why=event.cause)


def refund_rejected(*, event: RefundUndone, event_id: UUID) -> None:
    """Tell the order's timeline, and ask for a person: the money is still here."""
    _note(event, event_id, RefundTold.REJECTED, why=event.code or event.cause)


def refund_reversed(*, event: RefundUndone, event_id: UUID) -> None:
    """Take the money off what went back, and ask for a person: it came back to the shop."""
    _note(event, event_id, RefundTold.REVERSED, why=event.code or event.cause)


def _note(event: RefundMade, event_id: UUID, told: RefundTold, *, why: str) -> None:
    news = RefundNews(
        event_id=event_id,
        refund_id=event.refund_id,
        payment_id=event.payment_id,
        amount=event.amount,
        told=told,
        why=why,
    )
    services.note_refund(order_id=event.order_id, news=news, now=utc_now())
