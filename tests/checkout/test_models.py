"""What the database itself refuses, whatever the code believes."""

from typing import Any

import pytest
from django.db import IntegrityError, transaction

from checkout.models import Checkout, Line, ShippingMethod, TaxRate
from checkout.services import seed_rates
from checkout.states import Status
from shop.kernel.auth.dto import Caller
from shop.kernel.ids import new_id
from tests.cart.factories import NOW
from tests.checkout.factories import checkout_in

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("wrong", "constraint"),
    [
        ({"status": "lost"}, "status_known"),
        ({"total_minor": 2_491}, "totals_add_up"),
        ({"subtotal_minor": -1, "total_minor": 489}, "amounts_not_negative"),
        ({"shipping_minor": -1, "total_minor": 1_999}, "amounts_not_negative"),
        ({"discount_minor": -1, "total_minor": 2_491}, "amounts_not_negative"),
        ({"discount_minor": 2_500, "total_minor": -10, "tax_minor": -20}, "amounts_not_negative"),
        ({"tax_minor": -1}, "amounts_not_negative"),
        ({"tax_minor": 2_491}, "tax_is_included"),
    ],
)
def test_a_checkout_that_does_not_add_up_is_refused(shopper: Caller, wrong: dict[str, Any], constraint: str) -> None:
    checkout_in(Status.OPEN, shopper)

    with pytest.raises(IntegrityError, match=f"checkout_checkout_{constraint}"), transaction.atomic():
        Checkout.objects.update(**wrong)


def test_a_shopper_has_one_open_checkout(shopper: Caller) -> None:
    checkout = Checkout.objects.get(id=checkout_in(Status.OPEN, shopper).offer.checkout_id)
    checkout.id = new_id()

    with pytest.raises(IntegrityError, match="checkout_checkout_one_open"), transaction.atomic():
        checkout.save(force_insert=True)

    checkout.status = Status.RELEASED
    checkout.save(force_insert=True)
    assert Checkout.objects.count() == 2


@pytest.mark.parametrize(
    ("wrong", "constraint"),
    [
        ({"quantity": 0, "line_total_minor": 0, "tax_minor": 0}, "quantity_positive"),
        ({"line_total_minor": 1_999}, "total_adds_up"),
        ({"discount_minor": -1, "line_total_minor": 2_001}, "amounts_not_negative"),
        ({"discount_minor": 2_001, "line_total_minor": -1}, "amounts_not_negative"),
        ({"tax_minor": -1}, "amounts_not_negative"),
        ({"tax_minor": 2_001}, "amounts_not_negative"),
    ],
)
def test_a_line_that_does_not_add_up_is_refused(shopper: Caller, wrong: dict[str, int], constraint: str) -> None:
    checkout_in(Status.OPEN, shopper)

    with pytest.raises(IntegrityError, match=f"checkout_line_{constraint}"), transaction.atomic():
        Line.objects.update(**wrong)


@pytest.mark.parametrize("wrong", [{"price_minor": -1}, {"free_above_minor": -1}])
def test_shipping_never_costs_less_than_nothing(wrong: dict[str, int]) -> None:
    seed_rates()

    with pytest.raises(IntegrityError, match="amounts_not_negative"), transaction.atomic():
        ShippingMethod.objects.update(**wrong)


@pytest.mark.parametrize("rate_ppm", [-1, 1_000_001])
def test_a_tax_rate_is_between_nothing_and_everything(rate_ppm: int) -> None:
    seed_rates()

    with pytest.raises(IntegrityError, match="checkout_tax_rate_sane"), transaction.atomic():
        TaxRate.objects.update(rate_ppm=rate_ppm)


def test_rows_say_what_they_are(shopper: Caller) -> None:
    view = checkout_in(Status.OPEN, shopper)

    assert str(Checkout.objects.get()) == str(view.offer.checkout_id)
    assert str(Line.objects.get()) == "2 x MUG"
    assert str(ShippingMethod.objects.get(country="DE", code="express")) == "DE express"
    assert str(TaxRate(country="FR", tax_class="reduced", rate_ppm=55_000, valid_from=NOW.date())) == "FR reduced 5.5 %"
