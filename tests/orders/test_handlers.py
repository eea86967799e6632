"""News from payments."""

from datetime import datetime
from typing import Any

import pytest

from orders import handlers
from payments.events import PaymentFailed, PaymentSucceeded, RefundRejected, RefundReversed, RefundSucceeded
from shop.kernel.auth.dto import Caller
from shop.kernel.ids import new_id
from shop.kernel.transactions import TransactionMisuse, open_unit_of_work
from tests.orders.factories import again, happened, pay, placed

pytestmark = pytest.mark.django_db


def test_payment_success_pays_the_order(shopper: Caller, now: datetime) -> None:
    order = placed(caller=shopper, now=now)
    event = PaymentSucceeded(
        occurred_at=now,
        payment_id=new_id(),
        order_id=order.order_id,
        user_id=shopper.id,
        guest=False,
        gateway="sandbox",
        gateway_reference="cs_1",
        amount=order.totals.total,
    )

    with open_unit_of_work():
        handlers.payment_succeeded(event=event, event_id=new_id())

    assert again(order).status == "paid"


def test_payment_failed_stands_on_the_timeline(shopper: Caller, now: datetime) -> None:
    order = placed(caller=shopper, now=now)
    event = PaymentFailed(
        occurred_at=now,
        payment_id=new_id(),
        order_id=order.order_id,
        user_id=shopper.id,
        guest=False,
        gateway="sandbox",
        amount=order.totals.total,
        reason="expired",
        code="",
    )

    with open_unit_of_work():
        handlers.payment_failed(event=event, event_id=new_id())

    assert happened(order) == ["placed", "payment_failed"]


def test_what_becomes_of_refunds_is_counted_and_told(shopper: Caller, now: datetime) -> None:
    order, payment_id, refund_id = placed(caller=shopper, now=now), new_id(), new_id()
    pay(order, payment_id=payment_id, now=now)
    decided: dict[str, Any] = {
        "occurred_at": now,
        "refund_id": refund_id,
        "payment_id": payment_id,
        "order_id": order.order_id,
        "user_id": shopper.id,
        "guest": False,
        "gateway": "sandbox",
        "amount": order.totals.total,
        "cause": "requested",
    }
    undone = {**decided, "code": "account_closed"}

    with open_unit_of_work():
        handlers.refund_rejected(event=RefundRejected(**undone), event_id=new_id())
        handlers.refund_succeeded(event=RefundSucceeded(**decided), event_id=new_id())
    given_back = again(order)
    with open_unit_of_work():
        handlers.refund_reversed(event=RefundReversed(**undone), event_id=new_id())

    assert (given_back.payment_status, again(order).payment_status) == ("refunded", "paid")
    assert [(entry.type, entry.detail) for entry in again(order).timeline or ()][2:] == [
        ("refund_rejected", "28.70 EUR: account_closed"),
        ("refunded", "28.70 EUR: requested"),
        ("refund_reversed", "28.70 EUR: account_closed"),
    ]


def test_a_handler_needs_its_consumers_unit_of_work(shopper: Caller, now: datetime) -> None:
    order = placed(caller=shopper, now=now)
    event = PaymentFailed(
        occurred_at=now,
        payment_id=new_id(),
        order_id=order.order_id,
        user_id=shopper.id,
        guest=False,
        gateway="sandbox",
        amount=order.totals.total,
        reason="declined",
        code="card_declined",
    )

    with pytest.raises(TransactionMisuse):
        handlers.payment_failed(event=event, event_id=new_id())

    assert happened(order) == ["placed"]
