"""Money that arrives: it pays an order once, and what the order cannot keep is due back once."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta

import pytest
from pytest_django import Settings

from orders import services
from orders.dto import MoneyTaken
from orders.errors import OrderNotFound
from orders.models import Capture, Order
from orders.states import Status
from shop.inventory import services as stock
from shop.inventory.dto import StockLevel
from shop.inventory.models import Reservation
from shop.kernel.auth.dto import Caller
from shop.kernel.ids import new_id
from shop.kernel.money import Money
from shop.kernel.outbox.models import LoggedEvent
from shop.kernel.transactions import open_unit_of_work
from tests.orders.factories import again, happened, order_in, pay, placed, refunds_due, stock_of, told

pytestmark = pytest.mark.django_db


def test_the_exact_total_pays_the_order_and_commits_its_stock(shopper: Caller, now: datetime) -> None:
    order = placed(caller=shopper, now=now, units=5)
    payment_id = new_id()

    taken = pay(order, payment_id=payment_id, now=now + timedelta(minutes=1))

    paid = again(order)
    assert taken is MoneyTaken.PAID
    assert (paid.status, paid.payment_status, paid.captured) == ("paid", "paid", Money(2_870, "EUR"))
    assert paid.updated_at == now + timedelta(minutes=1)
    assert stock_of() == (3, 0)
    assert happened(order) == ["placed", "paid"]
    assert told(order) == ["order.created", "order.paid"]
    event = LoggedEvent.objects.get(topic="order.paid").payload
    assert (event["payment_id"], event["total"]) == (str(payment_id), {"amount": 2_870, "currency": "EUR"})


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("lines", [1, 3, 30])
def test_paying_takes_three_statements(
    lines: int, shopper: Caller, now: datetime, statements: Callable[[], AbstractContextManager[list[str]]]
) -> None:
    order = placed(caller=shopper, now=now, skus=tuple(f"SKU-{place:02}" for place in range(lines)))

    with statements() as counted:
        pay(order, now=now)

    assert len(counted) == 3  # with the consumer's inbox row: four


def test_the_same_payment_again_changes_nothing_and_says_so(shopper: Caller, now: datetime) -> None:
    order = placed(caller=shopper, now=now, units=5)
    payment_id = new_id()
    pay(order, payment_id=payment_id, now=now)
    before = again(order)

    taken = pay(order, payment_id=payment_id, now=now + timedelta(minutes=1))

    assert taken is MoneyTaken.ALREADY_COUNTED
    assert again(order) == before
    assert stock_of() == (3, 0)
    assert told(order) == ["order.created", "order.paid"]


@pytest.mark.parametrize("status", [Status.PAID, Status.FULFILLED])
def test_a_second_payment_is_due_back_once(status: Status, shopper: Caller, now: datetime) -> None:
    order = order_in(status, caller=shopper, now=now)
    second = new_id()

    assert pay(order, payment_id=second, now=now) is MoneyTaken.REFUND_DUE
    assert pay(order, payment_id=second, now=now) is MoneyTaken.ALREADY_COUNTED

    after = again(order)
    assert (after.status, after.payment_status, after.captured.amount) == (status, "overpaid", 5_740)
    assert refunds_due(order) == [("double_payment", 2_870)]
    assert not after.needs_review


def test_a_surplus_pays_the_order_and_what_is_over_is_due_back(shopper: Caller, now: datetime) -> None:
    order = placed(caller=shopper, now=now)

    taken = pay(order, amount=Money(3_000, "EUR"), now=now)

    after = again(order)
    assert taken is MoneyTaken.PAID
    assert (after.status, after.payment_status) == ("paid", "overpaid")
    assert refunds_due(order) == [("surplus", 130)]
    assert told(order) == ["order.created", "order.paid", "order.refund_due"]
    assert stock_of() == (98, 0)


def test_part_of_the_money_waits_for_the_rest(shopper: Caller, now: datetime) -> None:
    order = placed(caller=shopper, now=now)

    first = pay(order, amount=Money(2_000, "EUR"), now=now)
    between = again(order)
    second = pay(order, amount=Money(1_000, "EUR"), now=now)

    after = again(order)
    assert (first, second) == (MoneyTaken.PART_PAID, MoneyTaken.PAID)
    assert (between.status, between.payment_status) == ("pending_payment", "pending")
    assert (after.status, after.payment_status, after.captured.amount) == ("paid", "overpaid", 3_000)
    assert refunds_due(order) == [("surplus", 130)]
    assert happened(order) == ["placed", "part_paid", "paid", "refund_due"]


def test_late_money_revives_an_expired_order_whose_stock_is_there(shopper: Caller, now: datetime) -> None:
    order = order_in(Status.EXPIRED, caller=shopper, now=now)

    taken = pay(order, now=now + timedelta(hours=2))

    after = again(order)
    assert taken is MoneyTaken.REVIVED
    assert (after.status, after.payment_status, after.needs_review) == ("paid", "paid", False)
    assert Reservation.objects.get().state == "committed"
    assert stock_of() == (98, 0)
    assert happened(order) == ["placed", "expired", "revived"]
    assert told(order) == ["order.created", "order.expired", "order.paid"]


def test_late_money_is_due_back_when_the_stock_is_gone(shopper: Caller, now: datetime) -> None:
    order = order_in(Status.EXPIRED, caller=shopper, now=now)
    with open_unit_of_work():
        stock.receive(levels=[StockLevel("MUG", 1)], overwrite=True)
    late = new_id()

    assert pay(order, payment_id=late, now=now) is MoneyTaken.REFUND_DUE
    assert pay(order, payment_id=late, now=now) is MoneyTaken.ALREADY_COUNTED

    after = again(order)
    assert (after.status, after.needs_review) == ("expired", True)
    assert refunds_due(order) == [("late_payment", 2_870)]
    assert stock_of() == (1, 0)


def test_too_little_late_money_does_not_revive(shopper: Caller, now: datetime) -> None:
    order = order_in(Status.EXPIRED, caller=shopper, now=now)

    taken = pay(order, amount=Money(2_869, "EUR"), now=now)

    assert taken is MoneyTaken.REFUND_DUE
    assert again(order).status == "expired"
    assert refunds_due(order) == [("late_payment", 2_869)]
    assert Reservation.objects.get().state == "released"


def test_money_for_a_cancelled_order_is_always_due_back(shopper: Caller, now: datetime) -> None:
    order = order_in(Status.CANCELLED, caller=shopper, now=now)

    taken = pay(order, now=now)

    after = again(order)
    assert taken is MoneyTaken.REFUND_DUE
    assert (after.status, after.needs_review) == ("cancelled", False)
    assert refunds_due(order) == [("late_payment", 2_870)]
    assert stock_of() == (100, 0)


def test_where_late_money_goes_back_no_order_is_revived(shopper: Caller, now: datetime, settings: Settings) -> None:
    settings.ORDER_LATE_MONEY = "refund"
    order = order_in(Status.EXPIRED, caller=shopper, now=now)
    late = new_id()

    assert pay(order, payment_id=late, now=now) is MoneyTaken.REFUND_DUE
    assert pay(order, payment_id=late, now=now) is MoneyTaken.ALREADY_COUNTED

    after = again(order)
    assert (after.status, after.needs_review) == ("expired", False)
    assert refunds_due(order) == [("late_payment", 2_870)]
    assert Reservation.objects.get().state == "released"


@pytest.mark.parametrize("status", [Status.EXPIRED, Status.CANCELLED])
def test_where_a_person_decides_about_late_money_it_is_kept_until_then(
    status: Status, shopper: Caller, now: datetime, settings: Settings
) -> None:
    settings.ORDER_LATE_MONEY = "review"
    order = order_in(status, caller=shopper, now=now)
    late, later = new_id(), now + timedelta(hours=2)

    assert pay(order, payment_id=late, now=later) is MoneyTaken.SET_ASIDE
    assert pay(order, payment_id=late, now=later) is MoneyTaken.ALREADY_COUNTED

    after = again(order)
    assert (after.status, after.needs_review) == (status, True)
    assert (after.captured, after.payment_status) == (Money(2_870, "EUR"), "paid")
    assert refunds_due(order) == []
    assert (after.timeline or ())[-1].detail == "28.70 EUR came too late"
    assert Reservation.objects.get().state == "released"


@pytest.mark.parametrize("rule", ["revive", "refund", "review"])
def test_money_in_time_and_a_second_payment_know_no_rule_for_late_money(
    rule: str, shopper: Caller, now: datetime, settings: Settings
) -> None:
    settings.ORDER_LATE_MONEY = rule
    order = placed(caller=shopper, now=now)

    taken = [pay(order, now=now), pay(order, now=now)]

    assert taken == [MoneyTaken.PAID, MoneyTaken.REFUND_DUE]
    assert refunds_due(order) == [("double_payment", 2_870)]


@pytest.mark.parametrize("status", list(Status))
def test_another_currency_moves_nothing_and_calls_a_person(status: Status, shopper: Caller, now: datetime) -> None:
    order = order_in(status, caller=shopper, now=now)
    odd, later = new_id(), now + timedelta(hours=1)

    assert pay(order, payment_id=odd, amount=Money(2_870, "USD"), now=later) is MoneyTaken.SET_ASIDE
    assert pay(order, payment_id=odd, amount=Money(2_870, "USD"), now=later) is MoneyTaken.ALREADY_COUNTED

    after = again(order)
    assert (after.status, after.payment_status) == (order.status, order.payment_status)
    assert after.needs_review
    assert after.captured == order.captured
    assert refunds_due(order) == []
    assert (after.timeline or ())[-1].detail == "28.70 USD came for an order in EUR"


def test_money_of_another_currency_is_not_given_back_as_the_orders_own(
    shopper: Caller, staff: Caller, now: datetime
) -> None:
    order = placed(caller=shopper, now=now)
    pay(order, amount=Money(2_870, "USD"), now=now)
    pay(order, now=now)

    services.cancel(caller=staff, order_id=order.order_id, reason="", now=now)

    assert refunds_due(order) == [("cancelled", 2_870)]


def test_money_for_no_order_is_refused(now: datetime) -> None:
    with pytest.raises(OrderNotFound), open_unit_of_work():
        services.mark_paid(order_id=new_id(), payment_id=new_id(), amount=Money(1, "EUR"), now=now)

    assert not Capture.objects.exists()


def test_a_failed_payment_leaves_the_order_waiting_and_stands_on_its_timeline_once(
    shopper: Caller, now: datetime
) -> None:
    order = placed(caller=shopper, now=now)
    event_id = new_id()

    for _ in range(2):
        with open_unit_of_work():
            services.note_failed_payment(
                order_id=order.order_id, event_id=event_id, reason="declined", code="insufficient_funds", now=now
            )

    after = again(order)
    assert (after.status, after.payment_status) == ("pending_payment", "unpaid")
    assert happened(order) == ["placed", "payment_failed"]
    assert (after.timeline or ())[-1].detail == "declined (insufficient_funds)"
    assert stock_of() == (100, 2)


def test_a_failed_payment_of_no_order_is_refused(now: datetime) -> None:
    with pytest.raises(OrderNotFound), open_unit_of_work():
        services.note_failed_payment(order_id=new_id(), event_id=new_id(), reason="expired", code="", now=now)


def test_amounts_keep_the_currencys_own_digits(shopper: Caller, now: datetime) -> None:
    order = placed(caller=shopper, now=now)
    Order.objects.update(currency="JPY")

    pay(order, amount=Money(2_870, "JPY"), now=now)

    assert (again(order).timeline or ())[-1].detail == "2870 JPY"
