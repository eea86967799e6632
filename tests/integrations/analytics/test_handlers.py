"""Each fact becomes one user action with the fact's own numbers, and nothing of a person."""

from datetime import UTC, datetime
from typing import Any

import pytest

from integrations.analytics import handlers
from integrations.analytics.vocabulary import FACTS
from orders.events import OrderCancelled, OrderCreated, OrderedLine, OrderExpired, OrderFulfilled, OrderPaid
from payments.events import PaymentFailed, PaymentSucceeded, RefundRejected, RefundReversed, RefundSucceeded
from shop.kernel.events import Event
from shop.kernel.ids import new_id
from shop.kernel.money import Money
from shop.kernel.outbox.models import LoggedEvent
from shop.kernel.transactions import open_unit_of_work

pytestmark = pytest.mark.django_db

AT = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ORDER, PAYMENT, SHOPPER, FACT = new_id(), new_id(), new_id(), new_id()
WHOSE: dict[str, Any] = {"occurred_at": AT, "order_id": ORDER, "user_id": SHOPPER, "guest": True}
NUMBERED: dict[str, Any] = {**WHOSE, "number": "R7KD-2MNP-XW", "total": Money(2_870, "EUR")}
ATTEMPT: dict[str, Any] = {**WHOSE, "payment_id": PAYMENT, "gateway": "sandbox", "amount": Money(2_870, "EUR")}
REFUND: dict[str, Any] = {**ATTEMPT, "refund_id": FACT, "cause": "late_payment"}
OF_REFUND = {"refund_id": str(FACT), "payment_id": str(PAYMENT), "gateway": "sandbox", "cause": "late_payment"}
LINE = OrderedLine("MUG", "A mug", 2, Money(1_190, "EUR"), Money(2_380, "EUR"))

CASES: list[tuple[Any, Event, str, dict[str, Any]]] = [
    (
        handlers.order_created,
        OrderCreated(
            **NUMBERED, lines=(LINE, LINE), shipping=Money(490, "EUR"), tax=Money(380, "EUR"), payment_deadline=AT
        ),
        "Order Placed",
        {"item_count": 4, "lines": 2},
    ),
    (handlers.order_paid, OrderPaid(**NUMBERED, payment_id=PAYMENT), "Order Completed", {"payment_id": str(PAYMENT)}),
    (handlers.order_paid, OrderPaid(**NUMBERED, payment_id=None), "Order Completed", {"payment_id": None}),
    (
        handlers.order_cancelled,
        OrderCancelled(**NUMBERED, reason="I changed my mind", was_paid=False),
        "Order Cancelled",
        {"was_paid": False},
    ),
    (handlers.order_expired, OrderExpired(**NUMBERED), "Order Expired", {}),
    (
        handlers.payment_succeeded,
        PaymentSucceeded(**ATTEMPT, gateway_reference="R7KD-2MNP-XW-1"),
        "Payment Succeeded",
        {"payment_id": str(PAYMENT), "gateway": "sandbox"},
    ),
    (
        handlers.payment_failed,
        PaymentFailed(**ATTEMPT, reason="declined", code="card_declined"),
        "Payment Failed",
        {"payment_id": str(PAYMENT), "gateway": "sandbox", "reason": "declined"},
    ),
    (handlers.refund_succeeded, RefundSucceeded(**REFUND), "Order Refunded", OF_REFUND),
    (handlers.refund_rejected, RefundRejected(**REFUND, code="account_closed"), "Refund Rejected", OF_REFUND),
    (handlers.refund_reversed, RefundReversed(**REFUND, code="account_closed"), "Refund Reversed", OF_REFUND),
]


@pytest.mark.parametrize(("handler", "fact", "name", "own"), CASES, ids=[name for *_, name, _ in CASES])
def test_a_fact_becomes_a_user_action(handler: Any, fact: Event, name: str, own: dict[str, Any]) -> None:
    with open_unit_of_work():
        handler(event=fact, event_id=FACT)

    told = LoggedEvent.objects.get()
    assert (told.topic, told.type, told.key) == ("analytics.events", "analytics.events.v1", SHOPPER)
    assert told.occurred_at == AT
    assert told.payload["name"] == name
    assert name in FACTS
    assert told.payload["guest"] is True
    assert told.payload["properties"] == {
        "fact_id": str(FACT),
        "order_id": str(ORDER),
        "amount": 2_870,
        "currency": "EUR",
        **own,
    }


def test_goods_on_their_way_are_told_without_money() -> None:
    with open_unit_of_work():
        handlers.order_fulfilled(event=OrderFulfilled(**WHOSE, number="R7KD-2MNP-XW", tracking="TR 1"), event_id=FACT)

    told = LoggedEvent.objects.get().payload
    assert (told["name"], told["properties"]) == ("Order Fulfilled", {"fact_id": str(FACT), "order_id": str(ORDER)})
