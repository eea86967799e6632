"""What the benches tell: that a payment succeeded, in full as the shop tells it."""

from uuid import UUID

from payments.events import PaymentSucceeded
from shop.kernel.clock import utc_now
from shop.kernel.money import Money


def payment_succeeded(*, key: UUID) -> PaymentSucceeded:
    """Return the event of a payment of this id."""
    return PaymentSucceeded(
        occurred_at=utc_now(),
        payment_id=key,
        order_id=key,
        user_id=key,
        guest=True,
        gateway="sandbox",
        gateway_reference="sess_7f2003742fc786db3d1aed76b746870e",
        amount=Money(2_490, "EUR"),
    )
