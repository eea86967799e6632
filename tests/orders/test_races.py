"""Real threads on real PostgreSQL."""

from datetime import datetime
from functools import partial

import pytest

from orders import services
from orders.dto import Expiry, MoneyTaken, RefundTold
from orders.models import Capture, Order
from shop.inventory.models import Reservation
from shop.kernel.auth.dto import Caller
from shop.kernel.errors import IllegalTransition
from shop.kernel.ids import new_id
from shop.kernel.money import Money
from tests.orders.factories import again, hear, news, open_checkout, pay, placed, refunds_due, stock_of, stocked, told
from tests.races import at_once

pytestmark = pytest.mark.django_db(transaction=True)


def test_twenty_orders_of_one_checkout_at_once_are_one_order(shopper: Caller, now: datetime) -> None:
    stocked("MUG")
    checkout_id = open_checkout(caller=shopper, now=now)

    answers = at_once(*[lambda: services.place(caller=shopper, checkout_id=checkout_id, quote_hash=None, now=now)] * 20)

    order = Order.objects.get()
    assert [answer.created for answer in answers].count(True) == 1
    assert {answer.order.order_id for answer in answers} == {order.pk}
    assert told(answers[0].order) == ["order.created"]
    assert stock_of() == (100, 2)


def test_the_same_payment_twenty_times_at_once_counts_once(shopper: Caller, now: datetime) -> None:
    order = placed(caller=shopper, now=now)
    payment_id = new_id()

    taken = at_once(*[lambda: pay(order, payment_id=payment_id, now=now)] * 20)

    assert sorted(taken) == [MoneyTaken.ALREADY_COUNTED] * 19 + [MoneyTaken.PAID]
    assert told(order) == ["order.created", "order.paid"]
    assert stock_of() == (98, 0)


def test_two_payments_at_once_pay_once_and_one_is_due_back(shopper: Caller, now: datetime) -> None:
    order = placed(caller=shopper, now=now)

    taken = at_once(*[lambda: pay(order, now=now)] * 2)

    assert sorted(taken) == [MoneyTaken.PAID, MoneyTaken.REFUND_DUE]
    assert again(order).status == "paid"
    assert refunds_due(order) == [("double_payment", 2_870)]
    assert Capture.objects.count() == 2


def test_money_that_races_the_deadline_is_never_lost(shopper: Caller, now: datetime) -> None:
    orders = [placed(caller=shopper, now=now) for _ in range(5)]

    for order in orders:
        answers = at_once(
            partial(pay, order, now=now), partial(services.expire, order_id=order.order_id, now=order.payment_deadline)
        )

        assert tuple(answers) in {
            (MoneyTaken.PAID, Expiry.ALREADY_CLOSED),
            (MoneyTaken.REVIVED, Expiry.EXPIRED),
        }
        assert again(order).status == "paid"
    assert stock_of() == (90, 0)
    assert {reservation.state for reservation in Reservation.objects.all()} == {"committed"}


def test_money_that_races_the_shoppers_cancellation_is_kept_or_due_back(shopper: Caller, now: datetime) -> None:
    order = placed(caller=shopper, now=now)

    def cancel() -> str:
        try:
            return services.cancel(caller=shopper, order_id=order.order_id, reason="", now=now).status
        except IllegalTransition as refused:
            return str(refused.data["current"])

    taken, cancelled = at_once(lambda: str(pay(order, now=now)), cancel)

    if cancelled == "paid":
        assert (taken, refunds_due(order)) == (MoneyTaken.PAID, [])
    else:
        assert (taken, refunds_due(order)) == (MoneyTaken.REFUND_DUE, [("late_payment", 2_870)])
    assert again(order).status == cancelled


def test_parts_that_go_back_at_once_are_all_counted(shopper: Caller, now: datetime) -> None:
    order, payment_id = placed(caller=shopper, now=now), new_id()
    pay(order, now=now, payment_id=payment_id)
    parts = [news(RefundTold.SUCCEEDED, payment_id, amount=Money(287, "EUR")) for _ in range(10)]

    at_once(*[partial(hear, order, part, now=now) for part in parts])

    assert (again(order).refunded, again(order).payment_status) == (Money(2_870, "EUR"), "refunded")


def test_a_payment_that_races_its_refund_leaves_neither_out(shopper: Caller, now: datetime) -> None:
    for _ in range(10):
        order, payment_id = placed(caller=shopper, now=now), new_id()

        at_once(
            partial(pay, order, payment_id=payment_id, now=now),
            partial(hear, order, news(RefundTold.SUCCEEDED, payment_id), now=now),
        )

        assert (again(order).status, again(order).payment_status) == ("paid", "refunded")
