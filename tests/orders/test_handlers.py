"""News from payments."""

from datetime import datetime

import pytest

from orders import handlers
from payments.events import PaymentFailed, PaymentSucceeded
from shop.kernel.auth.dto import Caller
from shop.kernel.ids import new_id
from shop.kernel.transactions import TransactionMisuse, open_unit_of_work
from tests.orders.factories import again, happened, placed

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
