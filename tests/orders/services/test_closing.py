"""The ends of an order, and the money and stock that go with each."""

from datetime import datetime, timedelta

import pytest

from orders import services
from orders.dto import Expiry, RefundTold
from orders.errors import OrderNotFound, OrderRefunded
from orders.models import Order
from orders.states import Status
from shop.kernel.auth.dto import Caller
from shop.kernel.errors import IllegalTransition
from shop.kernel.ids import new_id
from shop.kernel.money import Money
from shop.kernel.outbox.models import LoggedEvent
from tests.orders.factories import (
    again,
    given_away,
    happened,
    hear,
    news,
    order_in,
    pay,
    placed,
    refunds_due,
    stock_of,
    told,
)

pytestmark = pytest.mark.django_db


def test_a_shopper_cancels_an_unpaid_order_and_its_stock_is_free(shopper: Caller, now: datetime) -> None:
    order = placed(caller=shopper, now=now)

    cancelled = services.cancel(caller=shopper, order_id=order.order_id, reason="Ada moved away", now=now)

    assert cancelled.status == "cancelled"
    assert stock_of() == (100, 0)
    assert told(order) == ["order.created", "order.cancelled"]
    assert Order.objects.get().cancel_reason == "Ada moved away"


def test_what_a_person_wrote_stays_off_timeline_and_event(shopper: Caller, now: datetime) -> None:
    order = placed(caller=shopper, now=now)

    services.cancel(caller=shopper, order_id=order.order_id, reason="Ada moved away", now=now)

    assert (again(order).timeline or ())[-1].detail == "requested_by_shopper"
    event = LoggedEvent.objects.get(topic="order.cancelled").payload
    assert (event["reason"], event["was_paid"]) == ("requested_by_shopper", False)


def test_staff_cancel_a_paid_order_whose_stock_and_money_go_back(shopper: Caller, staff: Caller, now: datetime) -> None:
    order = order_in(Status.PAID, caller=shopper, now=now)

    services.cancel(caller=staff, order_id=order.order_id, reason="Broken in the store", now=now)

    assert again(order).status == "cancelled"
    assert stock_of() == (100, 0)
    assert told(order) == ["order.created", "order.paid", "order.cancelled", "order.refund_due"]
    assert refunds_due(order) == [("cancelled", 2_870)]
    assert happened(order)[-2:] == ["cancelled", "refund_due"]


def test_staff_cancel_an_order_that_cost_nothing_and_only_its_stock_goes_back(
    shopper: Caller, staff: Caller, now: datetime
) -> None:
    order = given_away(caller=shopper, now=now)

    services.cancel(caller=staff, order_id=order.order_id, reason="", now=now)

    assert again(order).status == "cancelled"
    assert stock_of() == (100, 0)
    assert told(order) == ["order.created", "order.paid", "order.cancelled"]


def test_an_order_that_cost_nothing_never_expires(shopper: Caller, now: datetime) -> None:
    order = given_away(caller=shopper, now=now)

    assert services.expire(order_id=order.order_id, now=order.payment_deadline) is Expiry.ALREADY_CLOSED
    assert again(order) == order


def test_cancelling_gives_back_only_what_is_not_on_its_way_already(
    shopper: Caller, staff: Caller, now: datetime
) -> None:
    order = placed(caller=shopper, now=now)
    pay(order, amount=Money(3_000, "EUR"), now=now)
    pay(order, now=now)

    services.cancel(caller=staff, order_id=order.order_id, reason="", now=now)

    assert refunds_due(order) == [("surplus", 130), ("double_payment", 2_870), ("cancelled", 2_870)]


@pytest.mark.parametrize("status", [Status.PAID, Status.FULFILLED, Status.EXPIRED, Status.CANCELLED])
def test_a_shopper_cancels_nothing_else(status: Status, shopper: Caller, now: datetime) -> None:
    order = order_in(status, caller=shopper, now=now)
    before = (stock_of(), told(order))

    with pytest.raises(IllegalTransition):
        services.cancel(caller=shopper, order_id=order.order_id, reason="", now=now)

    assert again(order) == order
    assert (stock_of(), told(order)) == before


def test_somebody_elses_order_is_not_there(shopper: Caller, stranger: Caller, now: datetime) -> None:
    order = placed(caller=shopper, now=now)

    with pytest.raises(OrderNotFound):
        services.cancel(caller=stranger, order_id=order.order_id, reason="", now=now)

    assert again(order).status == "pending_payment"


def test_an_order_expires_after_its_deadline_and_its_stock_is_free(shopper: Caller, now: datetime) -> None:
    order = placed(caller=shopper, now=now)

    assert services.expire(order_id=order.order_id, now=order.payment_deadline) is Expiry.EXPIRED

    assert again(order).status == "expired"
    assert stock_of() == (100, 0)
    assert told(order) == ["order.created", "order.expired"]
    assert refunds_due(order) == []


def test_an_order_does_not_expire_before_its_deadline(shopper: Caller, now: datetime) -> None:
    order = placed(caller=shopper, now=now)

    expiry = services.expire(order_id=order.order_id, now=order.payment_deadline - timedelta(microseconds=1))

    assert expiry is Expiry.NOT_DUE
    assert again(order) == order


@pytest.mark.parametrize("status", [Status.PAID, Status.FULFILLED, Status.EXPIRED, Status.CANCELLED])
def test_only_a_waiting_order_expires(status: Status, shopper: Caller, now: datetime) -> None:
    order = order_in(status, caller=shopper, now=now)
    before = told(order)

    assert services.expire(order_id=order.order_id, now=now + timedelta(days=1)) is Expiry.ALREADY_CLOSED

    assert again(order) == order
    assert told(order) == before


def test_part_of_the_money_goes_back_when_the_order_expires(shopper: Caller, now: datetime) -> None:
    order = placed(caller=shopper, now=now)
    pay(order, amount=Money(2_000, "EUR"), now=now)

    services.expire(order_id=order.order_id, now=order.payment_deadline)

    assert refunds_due(order) == [("underpaid", 2_000)]


def test_an_order_that_is_not_there_does_not_expire(now: datetime) -> None:
    with pytest.raises(OrderNotFound):
        services.expire(order_id=new_id(), now=now)


def test_a_paid_order_is_sent(shopper: Caller, now: datetime) -> None:
    order = order_in(Status.PAID, caller=shopper, now=now)

    sent = services.fulfil(order_id=order.order_id, tracking="00340434161094042557", now=now)

    assert (sent.status, sent.tracking) == ("fulfilled", "00340434161094042557")
    assert told(order) == ["order.created", "order.paid", "order.fulfilled"]
    assert happened(order) == ["placed", "paid", "fulfilled"]


@pytest.mark.parametrize("status", [Status.PENDING_PAYMENT, Status.FULFILLED, Status.EXPIRED, Status.CANCELLED])
def test_nothing_else_is_sent(status: Status, shopper: Caller, now: datetime) -> None:
    order = order_in(status, caller=shopper, now=now)

    with pytest.raises(IllegalTransition):
        services.fulfil(order_id=order.order_id, tracking="", now=now)

    assert again(order) == order


def test_goods_whose_money_has_all_gone_back_are_not_sent(shopper: Caller, now: datetime) -> None:
    payment_id = new_id()
    order = placed(caller=shopper, now=now)
    pay(order, payment_id=payment_id, now=now)
    hear(order, news(RefundTold.SUCCEEDED, payment_id), now=now)
    refunded = again(order)

    with pytest.raises(OrderRefunded):
        services.fulfil(order_id=order.order_id, tracking="", now=now)

    assert again(order) == refunded
    assert (refunded.status, refunded.payment_status) == ("paid", "refunded")
    assert "order.fulfilled" not in told(order)


def test_goods_whose_money_has_gone_back_in_part_are_sent(shopper: Caller, now: datetime) -> None:
    payment_id = new_id()
    order = placed(caller=shopper, now=now)
    pay(order, payment_id=payment_id, now=now)
    hear(order, news(RefundTold.SUCCEEDED, payment_id, amount=Money(100, "EUR")), now=now)

    sent = services.fulfil(order_id=order.order_id, tracking="", now=now)

    assert (sent.status, sent.payment_status) == ("fulfilled", "partially_refunded")


def test_a_reviewed_order_loses_its_flag_once(shopper: Caller, now: datetime) -> None:
    order = placed(caller=shopper, now=now)
    pay(order, amount=Money(1, "USD"), now=now)

    for _ in range(2):
        services.mark_reviewed(order_id=order.order_id, now=now)

    assert not again(order).needs_review
    assert happened(order) == ["placed", "needs_review", "reviewed"]
