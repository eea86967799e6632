"""One event of every type, always the same: what is held against schemas, golden files and other people's libraries."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from orders.events import (
    OrderCancelled,
    OrderCreated,
    OrderedLine,
    OrderExpired,
    OrderFulfilled,
    OrderPaid,
    OrderRefundDue,
)
from payments.events import PaymentFailed, PaymentSucceeded, RefundRejected, RefundReversed, RefundSucceeded
from shop.kernel.events import Event, UserAction
from shop.kernel.money import Money

AT = datetime(2026, 11, 22, 16, 40, 14, 123_000, tzinfo=UTC)
ORDER, USER, PAYMENT, REFUND = (UUID(f"019ab0e2-0000-7000-8000-00000000000{n}") for n in range(1, 5))
EUROS = Money(4_360, "EUR")

_whose: dict[str, Any] = {"occurred_at": AT, "order_id": ORDER, "user_id": USER, "guest": True}
_order: dict[str, Any] = {**_whose, "number": "R7KD-2MNP-XW"}
_payment: dict[str, Any] = {**_whose, "payment_id": PAYMENT, "gateway": "sandbox", "amount": EUROS}
_refund: dict[str, Any] = {**_payment, "refund_id": REFUND, "cause": "requested"}

EVENTS: list[Event] = [
    OrderCreated(
        **_order,
        lines=(
            OrderedLine(
                sku="TEA-SENCHA-50",
                name="Sencha „Grüner Tag“ 50 g",
                quantity=2,
                unit_price=Money(1_935, "EUR"),
                line_total=Money(3_870, "EUR"),
            ),
        ),
        shipping=Money(490, "EUR"),
        tax=Money(285, "EUR"),
        total=EUROS,
        payment_deadline=datetime(2026, 11, 22, 17, 40, 14, 123_000, tzinfo=UTC),
    ),
    OrderPaid(**_order, payment_id=PAYMENT, total=EUROS),
    OrderCancelled(**_order, total=EUROS, reason="shopper", was_paid=False),
    OrderExpired(**_order, total=EUROS),
    OrderFulfilled(**_order, tracking="DHL 00340434161094042557"),
    OrderRefundDue(**_order, payment_id=PAYMENT, amount=EUROS, reason="late_payment"),
    PaymentSucceeded(**_payment, gateway_reference="sess_7f2003742fc786db"),
    PaymentFailed(**_payment, reason="declined", code="card_declined"),
    RefundSucceeded(**_refund),
    RefundRejected(**_refund, code="insufficient_balance"),
    RefundReversed(**_refund, code="account_closed"),
    UserAction(
        occurred_at=AT,
        user_id=USER,
        guest=True,
        name="Product Added",
        properties={"sku": "TEA-SENCHA-50", "quantity": 2, "in_stock": True, "coupon": None},
    ),
]
