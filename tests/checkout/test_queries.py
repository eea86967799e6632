from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta

import pytest
from pytest_django import Settings

from checkout import services
from checkout.models import ShippingMethod
from checkout.queries import checkout, due, shipping_options
from checkout.states import Status
from shop.kernel.auth.dto import Caller
from shop.kernel.ids import new_id
from shop.kernel.money import Money
from tests.cart.factories import NOW, filled, on_sale
from tests.checkout.factories import LATER, REQUEST, checkout_in, started, status_of

pytestmark = pytest.mark.django_db

Recording = Callable[[], AbstractContextManager[list[str]]]


@pytest.mark.parametrize("lines", [1, 30])
def test_reading_costs_one_statement(shopper: Caller, statements: Recording, lines: int) -> None:
    for place in range(lines):
        on_sale(f"SKU-{place}")
    view = started(shopper, **{f"SKU-{place}": 1 for place in range(lines)})

    with statements() as counted:
        read = checkout(checkout_id=view.offer.checkout_id, now=NOW)

    assert read == view
    assert len(counted) == 1


def test_nothing_is_nothing() -> None:
    assert checkout(checkout_id=new_id(), now=NOW) is None


@pytest.mark.parametrize("current", Status)
def test_every_status_shows_as_it_is_stored_but_an_open_one_after_its_time(shopper: Caller, current: Status) -> None:
    checkout_id = checkout_in(current, shopper).offer.checkout_id

    before = checkout(checkout_id=checkout_id, now=LATER - timedelta(microseconds=1))
    after = checkout(checkout_id=checkout_id, now=LATER)

    assert before is not None
    assert after is not None
    assert before.status == status_of(checkout_id) == current
    assert after.status == (Status.EXPIRED if current is Status.OPEN else current)


def test_due_are_open_ones_whose_time_is_over(shopper: Caller, stranger: Caller) -> None:
    view = checkout_in(Status.OPEN, shopper)
    filled(stranger, MUG=1)
    services.start(caller=stranger, request=REQUEST, now=NOW + timedelta(seconds=1))

    assert due(now=LATER - timedelta(microseconds=1), limit=10) == []
    assert due(now=LATER, limit=10) == [view.offer.checkout_id]

    services.release(caller=shopper, checkout_id=view.offer.checkout_id, now=NOW)
    assert due(now=LATER, limit=10) == []


def test_shipping_is_offered_in_the_currency_of_the_shop(settings: Settings) -> None:
    services.seed_rates()
    ShippingMethod.objects.create(
        country="DE", code="standard", name="Standard", currency="JPY", price_minor=700, estimated_days="2"
    )

    settings.DEFAULT_CURRENCY = "JPY"

    assert [option.price for option in shipping_options(country="DE")] == [Money(700, "JPY")]
