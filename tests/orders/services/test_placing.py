"""One checkout becomes exactly one order."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta

import pytest
from django.db import IntegrityError, connection

from cart.models import Cart
from checkout.errors import CheckoutExpired, CheckoutNotFound, CheckoutStale, QuoteMismatch
from checkout.models import Checkout
from orders import services
from orders.errors import OrderNumbersTaken
from orders.models import Entry, Line, Order
from orders.queries import order as read_order
from orders.services import placing
from shop.inventory.models import Reservation
from shop.kernel.auth.dto import Caller
from shop.kernel.money import Money
from shop.kernel.outbox.models import LoggedEvent
from tests.orders.factories import ADDRESS, QUOTE, given_away, happened, open_checkout, placed, stock_of, stocked, told

pytestmark = pytest.mark.django_db

Counting = Callable[[], AbstractContextManager[list[str]]]


def test_a_checkout_becomes_an_order_that_waits_for_its_money(shopper: Caller, now: datetime) -> None:
    stocked("MUG")
    checkout_id = open_checkout(caller=shopper, now=now)

    answer = services.place(caller=shopper, checkout_id=checkout_id, quote_hash=QUOTE, now=now)

    order = answer.order
    assert answer.created
    assert (order.status, order.payment_status) == ("pending_payment", "unpaid")
    assert order.totals.total == Money(2_870, "EUR")
    assert order.shipping_address == ADDRESS
    assert order.payment_deadline == now + timedelta(minutes=30)
    assert happened(order) == ["placed"]
    assert told(order) == ["order.created"]


def test_what_is_answered_is_what_is_stored(shopper: Caller, now: datetime) -> None:
    order = placed(caller=shopper, now=now, skus=("MUG", "POT", "CUP"))

    assert read_order(order_id=order.order_id, user_id=shopper.id) == order


def test_the_stock_stays_held_without_an_end_of_its_own_and_the_cart_is_empty(shopper: Caller, now: datetime) -> None:
    placed(caller=shopper, now=now, units=5)

    reservation = Reservation.objects.get()
    assert (reservation.state, reservation.expires_at) == ("allocated", None)
    assert stock_of() == (5, 2)
    assert Cart.objects.get().version == 2


def test_the_event_names_no_person(shopper: Caller, now: datetime) -> None:
    placed(caller=shopper, now=now)

    payload = LoggedEvent.objects.get(topic="order.created").payload
    assert set(payload) == {
        "guest", "lines", "number", "occurred_at", "order_id", "payment_deadline", "shipping", "tax", "total", "user_id"
    }  # fmt: skip
    assert payload["lines"] == [
        {
            "sku": "MUG",
            "name": "The MUG",
            "quantity": 2,
            "unit_price": {"amount": 1_190, "currency": "EUR"},
            "line_total": {"amount": 2_380, "currency": "EUR"},
        }
    ]


def test_the_same_checkout_again_answers_the_order_that_is_there(shopper: Caller, now: datetime) -> None:
    first = placed(caller=shopper, now=now)
    checkout_id = Order.objects.get().checkout_id

    again = services.place(caller=shopper, checkout_id=checkout_id, quote_hash=None, now=now + timedelta(hours=9))

    assert (again.created, again.order) == (False, first)
    assert Order.objects.count() == 1
    assert told(first) == ["order.created"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("lines", [1, 3, 30])
def test_placing_takes_five_statements(lines: int, shopper: Caller, now: datetime, statements: Counting) -> None:
    skus = tuple(f"SKU-{place:02}" for place in range(lines))
    stocked(*skus)
    checkout_id = open_checkout(caller=shopper, now=now, skus=skus)

    with statements() as counted:
        services.place(caller=shopper, checkout_id=checkout_id, quote_hash=QUOTE, now=now)

    assert len(counted) == 5
    assert Line.objects.count() == lines


def test_an_order_that_costs_nothing_is_paid_at_once(shopper: Caller, now: datetime) -> None:
    order = given_away(caller=shopper, now=now)

    assert (order.status, order.payment_status) == ("paid", "paid")
    assert read_order(order_id=order.order_id, user_id=shopper.id) == order
    assert happened(order) == ["placed", "paid"]
    assert told(order) == ["order.created", "order.paid"]
    paid = LoggedEvent.objects.get(topic="order.paid").payload
    assert (paid["payment_id"], paid["total"]) == (None, {"amount": 0, "currency": "EUR"})
    assert Reservation.objects.get().state == "committed"
    assert stock_of() == (98, 0)


def test_a_free_order_placed_again_sells_nothing_twice(shopper: Caller, now: datetime) -> None:
    first = given_away(caller=shopper, now=now)
    checkout_id = Order.objects.get().checkout_id

    again = services.place(caller=shopper, checkout_id=checkout_id, quote_hash=None, now=now)

    assert (again.created, again.order) == (False, first)
    assert told(first) == ["order.created", "order.paid"]
    assert stock_of() == (98, 0)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("lines", [1, 3, 30])
def test_placing_a_free_order_takes_six_statements(
    lines: int, shopper: Caller, now: datetime, statements: Counting
) -> None:
    skus = tuple(f"SKU-{place:02}" for place in range(lines))
    stocked(*skus)
    checkout_id = open_checkout(caller=shopper, now=now, skus=skus, free=True)

    with statements() as counted:
        services.place(caller=shopper, checkout_id=checkout_id, quote_hash=QUOTE, now=now)

    assert len(counted) == 6


def test_somebody_elses_checkout_is_not_there(shopper: Caller, stranger: Caller, now: datetime) -> None:
    stocked("MUG")
    checkout_id = open_checkout(caller=shopper, now=now)

    with pytest.raises(CheckoutNotFound):
        services.place(caller=stranger, checkout_id=checkout_id, quote_hash=None, now=now)

    assert not Order.objects.exists()
    assert Checkout.objects.get().status == "open"


def test_somebody_elses_ordered_checkout_is_not_there_either(shopper: Caller, stranger: Caller, now: datetime) -> None:
    placed(caller=shopper, now=now)

    with pytest.raises(CheckoutNotFound):
        services.place(caller=stranger, checkout_id=Order.objects.get().checkout_id, quote_hash=None, now=now)


def test_another_quote_is_refused_with_both_totals_and_nothing_changes(shopper: Caller, now: datetime) -> None:
    stocked("MUG", "POT")
    open_checkout(caller=shopper, now=now)
    Checkout.objects.update(status="released", quote_hash="what-was-seen")
    checkout_id = open_checkout(caller=shopper, now=now, skus=("MUG", "POT"))

    with pytest.raises(QuoteMismatch) as refused:
        services.place(caller=shopper, checkout_id=checkout_id, quote_hash="what-was-seen", now=now)

    assert refused.value.data == {
        "seen_total": {"amount": 2_870, "currency": "EUR"},
        "total": {"amount": 5_250, "currency": "EUR"},
    }
    assert not Order.objects.exists()
    assert Checkout.objects.get(id=checkout_id).status == "open"


def test_a_checkout_whose_time_is_over_is_refused(shopper: Caller, now: datetime) -> None:
    stocked("MUG")
    checkout_id = open_checkout(caller=shopper, now=now)

    with pytest.raises(CheckoutExpired):
        services.place(caller=shopper, checkout_id=checkout_id, quote_hash=None, now=now + timedelta(minutes=16))

    assert not Order.objects.exists()


def test_a_checkout_whose_cart_has_changed_is_refused_and_released(shopper: Caller, now: datetime) -> None:
    stocked("MUG", units=5)
    checkout_id = open_checkout(caller=shopper, now=now)
    Cart.objects.update(version=2)

    with pytest.raises(CheckoutStale):
        services.place(caller=shopper, checkout_id=checkout_id, quote_hash=None, now=now)

    assert not Order.objects.exists()
    assert Checkout.objects.get().status == "released"
    assert Reservation.objects.get().state == "released"
    assert stock_of() == (5, 0)


def test_a_number_that_is_taken_is_replaced_by_another(
    shopper: Caller, stranger: Caller, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = placed(caller=stranger, now=now).number
    numbers = iter([taken, "R7KD-2MNP-XW"])
    monkeypatch.setattr(placing, "new_order_number", lambda: next(numbers))

    order = placed(caller=shopper, now=now)

    assert order.number == "R7KD-2MNP-XW"
    assert (Line.objects.count(), Entry.objects.count()) == (2, 2)


def test_two_numbers_that_are_taken_are_refused_and_nothing_changes(
    shopper: Caller, stranger: Caller, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = placed(caller=stranger, now=now).number
    monkeypatch.setattr(placing, "new_order_number", lambda: taken)
    checkout_id = open_checkout(caller=shopper, now=now)

    with pytest.raises(OrderNumbersTaken):
        services.place(caller=shopper, checkout_id=checkout_id, quote_hash=None, now=now)

    assert Order.objects.get().number == taken
    assert Checkout.objects.get(id=checkout_id).status == "open"


def test_the_database_is_the_last_judge_of_one_order_per_checkout(shopper: Caller, now: datetime) -> None:
    first = placed(caller=shopper, now=now)
    Checkout.objects.update(status="open")
    Cart.objects.update(version=1)
    Reservation.objects.update(state="reserved")
    checkout_id = Order.objects.get().checkout_id

    answer = services.place(caller=shopper, checkout_id=checkout_id, quote_hash=None, now=now)

    assert (answer.created, answer.order) == (False, first)
    assert Order.objects.count() == 1


def test_no_other_violation_is_taken_for_a_repetition(shopper: Caller, now: datetime) -> None:
    stocked("MUG")
    checkout_id = open_checkout(caller=shopper, now=now)
    with connection.cursor() as cursor:
        cursor.execute(
            "ALTER TABLE orders_order ADD CONSTRAINT orders_order_planted CHECK (email <> 'Ada@Example.com')"
        )

    with pytest.raises(IntegrityError, match="orders_order_planted"):
        services.place(caller=shopper, checkout_id=checkout_id, quote_hash=None, now=now)
