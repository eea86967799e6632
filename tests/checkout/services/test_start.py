from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import date

import pytest
from pytest_django import Settings

from cart.errors import LineExceedsStock
from cart.queries import cart_of
from cart.services import set_quantity
from checkout import services
from checkout.dto import CheckoutRequest, CheckoutView
from checkout.errors import CartEmpty, ShippingUnavailable
from checkout.models import Checkout, TaxRate
from checkout.queries import checkout
from checkout.states import Status
from shop.inventory.errors import InsufficientStock
from shop.inventory.queries import conservation_report
from shop.inventory.services import allocate
from shop.kernel.auth.dto import Caller
from shop.kernel.money import Money
from shop.kernel.outbox.models import LoggedEvent
from shop.kernel.transactions import open_unit_of_work
from tests.cart.factories import NOW, filled, on_sale, stocked, withdrawn
from tests.checkout.factories import (
    ADDRESS,
    LATER,
    REQUEST,
    checkout_in,
    held,
    reservation_state,
    started,
    status_of,
    to,
)

pytestmark = pytest.mark.django_db

Recording = Callable[[], AbstractContextManager[list[str]]]


def start(caller: Caller, request: CheckoutRequest = REQUEST) -> CheckoutView:
    return services.start(caller=caller, request=request, now=NOW)


def amounts(view: CheckoutView) -> tuple[int, int, int, int, int]:
    totals = view.offer.totals
    assert {money.currency for money in (totals.subtotal, totals.tax, totals.total)} == {"EUR"}
    return (
        totals.subtotal.amount,
        totals.discount.amount,
        totals.shipping.amount,
        totals.tax.amount,
        totals.total.amount,
    )


def test_an_offer_is_the_cart_priced_and_frozen(shopper: Caller) -> None:
    on_sale("MUG", price=1_190)
    on_sale("TEA", price=535, tax_class="reduced")

    view = started(shopper, MUG=2, TEA=1)

    offer = view.offer
    assert (view.status, view.expires_at) == (Status.OPEN, LATER)
    assert (offer.user_id, offer.guest, offer.cart_id, offer.cart_version) == (shopper.id, False, shopper.id, 2)
    assert [(line.sku, line.name, line.quantity) for line in offer.lines] == [
        ("MUG", "The MUG", 2),
        ("TEA", "The TEA", 1),
    ]
    assert [
        (line.unit_price.amount, line.discount.amount, line.tax.amount, line.line_total.amount) for line in offer.lines
    ] == [(1_190, 0, 380, 2_380), (535, 0, 35, 535)]
    assert amounts(view) == (2_915, 0, 490, 380 + 35 + 78, 3_405)
    assert offer.prices_include_tax is True
    assert (offer.email, offer.language, offer.shipping_method) == ("ada@example.com", "de", "standard")
    assert offer.shipping_address == offer.billing_address == ADDRESS


def test_what_is_answered_is_what_is_stored(shopper: Caller) -> None:
    for place in range(5):
        on_sale(f"SKU-{place}", price=100 + place)

    view = started(shopper, **{f"SKU-{place}": place + 1 for place in range(5)})

    assert checkout(checkout_id=view.offer.checkout_id, now=NOW) == view


def test_the_stock_is_held_under_the_checkouts_id(shopper: Caller) -> None:
    on_sale("MUG", available=5)

    view = started(shopper, MUG=2)

    assert held("MUG") == 2
    assert reservation_state(view.offer.checkout_id) == "reserved"
    assert conservation_report() == []


def test_a_changed_price_does_not_touch_the_frozen_offer(shopper: Caller) -> None:
    on_sale("MUG", price=1_000)
    view = started(shopper, MUG=2)

    on_sale("MUG", price=9_000)

    assert checkout(checkout_id=view.offer.checkout_id, now=NOW) == view


def test_the_price_of_the_offer_is_todays_not_the_one_last_seen_in_the_cart(shopper: Caller) -> None:
    services.seed_rates()
    on_sale("MUG", price=1_000)
    filled(shopper, MUG=1)
    on_sale("MUG", price=1_200)

    assert start(shopper).offer.lines[0].unit_price == Money(1_200, "EUR")


@pytest.mark.parametrize("emptied", [False, True])
def test_an_empty_cart_is_refused(shopper: Caller, emptied: bool) -> None:
    services.seed_rates()
    if emptied:
        on_sale("MUG")
        filled(shopper, MUG=1)
        set_quantity(caller=shopper, sku="MUG", quantity=0, if_version=None, now=NOW)

    with pytest.raises(CartEmpty):
        start(shopper)

    assert not Checkout.objects.exists()


def test_a_shortage_names_every_short_line_and_leaves_nothing_behind(shopper: Caller) -> None:
    services.seed_rates()
    for sku in ("MUG", "TEA", "JAM"):
        on_sale(sku)
    filled(shopper, MUG=2, TEA=3, JAM=1)
    stocked("MUG", 1)
    stocked("TEA", 0)

    with pytest.raises(InsufficientStock) as refused:
        start(shopper)

    assert refused.value.data == {
        "lines": [{"sku": "MUG", "wanted": 2, "available": 1}, {"sku": "TEA", "wanted": 3, "available": 0}]
    }
    assert not Checkout.objects.exists()
    assert held("JAM") == 0


def test_an_article_no_longer_sold_counts_as_one_of_which_nothing_is_available(shopper: Caller) -> None:
    services.seed_rates()
    on_sale("MUG")
    on_sale("TEA")
    filled(shopper, MUG=2, TEA=1)
    withdrawn("MUG")

    with pytest.raises(InsufficientStock) as refused:
        start(shopper)

    assert refused.value.data == {"lines": [{"sku": "MUG", "wanted": 2, "available": 0}]}
    assert held("TEA") == 0


@pytest.mark.parametrize(
    ("country", "method"), [("AQ", "standard"), ("JP", "express"), ("DE", "pigeon"), ("DE", "STANDARD")]
)
def test_a_place_or_a_way_that_is_not_served_is_refused(shopper: Caller, country: str, method: str) -> None:
    on_sale("MUG")
    services.seed_rates()
    filled(shopper, MUG=1)

    with pytest.raises(ShippingUnavailable) as refused:
        start(shopper, to(country, method=method))

    assert refused.value.data == {"country": country, "shipping_method": method}
    assert held("MUG") == 0


def test_a_country_without_tax_rates_is_not_guessed_at(shopper: Caller) -> None:
    on_sale("MUG")
    services.seed_rates()
    filled(shopper, MUG=1)
    TaxRate.objects.filter(country="DE").delete()

    with pytest.raises(ShippingUnavailable):
        start(shopper)

    assert not Checkout.objects.exists()


@pytest.mark.parametrize(
    ("country", "method", "price", "sums"),
    [
        ("DE", "standard", 4_999, (4_999, 0, 490, 798 + 78, 5_489)),
        ("DE", "standard", 5_000, (5_000, 0, 0, 798, 5_000)),
        ("DE", "express", 5_000, (5_000, 0, 990, 798 + 158, 5_990)),
        ("FR", "standard", 1_000, (1_000, 0, 790, 167 + 132, 1_790)),
        ("GB", "standard", 1_000, (1_000, 0, 990, 167 + 165, 1_990)),
        ("US", "standard", 1_000, (1_000, 0, 1_490, 0, 2_490)),
        ("JP", "standard", 1_000, (1_000, 0, 1_690, 91 + 154, 2_690)),
    ],
)
def test_shipping_and_tax_are_those_of_the_country(
    shopper: Caller, country: str, method: str, price: int, sums: tuple[int, ...]
) -> None:
    on_sale("MUG", price=price)
    services.seed_rates()
    filled(shopper, MUG=1)

    assert amounts(start(shopper, to(country, method=method))) == sums


def test_tax_follows_the_goods_not_the_bill(shopper: Caller) -> None:
    on_sale("MUG", price=1_000)
    services.seed_rates()
    filled(shopper, MUG=1)

    view = start(shopper, replace(to("US"), billing_address=ADDRESS))

    assert view.offer.totals.tax == Money(0, "EUR")


def test_the_rate_of_the_day_counts(shopper: Caller) -> None:
    on_sale("MUG", price=1_160)
    services.seed_rates()
    TaxRate.objects.create(country="DE", tax_class="standard", rate_ppm=160_000, valid_from=NOW.date())
    TaxRate.objects.create(country="DE", tax_class="standard", rate_ppm=250_000, valid_from=date(2026, 11, 23))
    filled(shopper, MUG=1)

    assert start(shopper).offer.lines[0].tax == Money(160, "EUR")


class FlatShipping:
    """A shop's own idea of what sending costs."""

    def charge(self, *, method: str, parcel: object) -> Money | None:
        return Money(7, "EUR") if method == "bicycle" else None


class FlatTax:
    """A shop's own idea of tax."""

    def rates(self, *, country: str, tax_classes: Collection[str], on: date) -> Mapping[str, int]:
        return dict.fromkeys(tax_classes, 1_000_000)


def test_a_shop_plugs_in_its_own_rates(shopper: Caller, settings: Settings) -> None:
    settings.SHIPPING_RATES = f"{__name__}.FlatShipping"
    settings.TAX_RATES = f"{__name__}.FlatTax"
    on_sale("MUG", price=1_000)
    filled(shopper, MUG=1)

    assert amounts(start(shopper, to("AQ", method="bicycle"))) == (1_000, 0, 7, 504, 1_007)


def test_a_second_checkout_replaces_the_open_one_and_its_reservation(shopper: Caller) -> None:
    on_sale("MUG", available=5)
    first = started(shopper, MUG=4).offer.checkout_id
    set_quantity(caller=shopper, sku="MUG", quantity=1, if_version=None, now=NOW)

    second = start(shopper).offer.checkout_id

    assert (status_of(first), status_of(second)) == (Status.RELEASED, Status.OPEN)
    assert (reservation_state(first), reservation_state(second)) == ("released", "reserved")
    assert held("MUG") == 1
    assert conservation_report() == []


def test_what_the_shopper_already_holds_is_free_for_the_next_checkout(shopper: Caller) -> None:
    on_sale("MUG", available=2)
    started(shopper, MUG=2)

    start(shopper)

    assert held("MUG") == 2


def test_back_in_the_cart_shoppers_are_not_in_their_own_way(shopper: Caller, stranger: Caller) -> None:
    on_sale("MUG", available=5)
    filled(stranger, MUG=1)
    started(shopper, MUG=4)

    assert [(line.available, line.quantity) for line in cart_of(user_id=shopper.id).lines] == [(5, 4)]
    assert cart_of(user_id=shopper.id).warnings == ()
    assert cart_of(user_id=stranger.id).lines[0].available == 1
    cart = set_quantity(caller=shopper, sku="MUG", quantity=5, if_version=None, now=NOW)
    assert (cart.lines[0].quantity, cart.warnings) == (5, ())
    with pytest.raises(LineExceedsStock) as refused:
        set_quantity(caller=shopper, sku="MUG", quantity=6, if_version=None, now=NOW)
    assert refused.value.data["available"] == 5
    assert start(shopper).offer.lines[0].quantity == 5
    assert held("MUG") == 5


def test_what_the_shopper_has_ordered_is_no_longer_there_for_the_next_cart(shopper: Caller) -> None:
    on_sale("MUG", available=5)
    checkout_id = started(shopper, MUG=4).offer.checkout_id
    with open_unit_of_work():
        services.claim_for_order(checkout_id=checkout_id, user_id=shopper.id, quote_hash=None, now=NOW)
        allocate(reservation_id=checkout_id)

    assert filled(shopper, MUG=1).lines[0].available == 1


def test_a_refused_second_checkout_leaves_the_first_one_open(shopper: Caller) -> None:
    first = checkout_in(Status.OPEN, shopper).offer.checkout_id

    with pytest.raises(ShippingUnavailable):
        start(shopper, to("AQ"))

    assert status_of(first) == Status.OPEN
    assert held("MUG") == 2


def test_replacing_a_checkout_whose_time_is_over_says_that_it_expired(shopper: Caller) -> None:
    first = checkout_in(Status.OPEN, shopper).offer.checkout_id

    services.start(caller=shopper, request=REQUEST, now=LATER)

    assert status_of(first) == Status.EXPIRED
    assert held("MUG") == 2


def test_an_ordered_checkout_is_not_replaced(shopper: Caller) -> None:
    first = checkout_in(Status.ORDERED, shopper).offer.checkout_id
    filled(shopper, MUG=1)

    start(shopper)

    assert status_of(first) == Status.ORDERED
    assert reservation_state(first) == "reserved"
    assert held("MUG") == 3


def test_the_same_offer_has_the_same_hash_and_another_offer_another(shopper: Caller) -> None:
    on_sale("MUG")
    first = started(shopper, MUG=1)

    same = start(shopper)
    other = start(shopper, to("FR"))

    assert first.offer.quote_hash == same.offer.quote_hash
    assert first.offer.checkout_id != same.offer.checkout_id
    assert other.offer.quote_hash != same.offer.quote_hash


def test_a_started_checkout_is_told_without_anything_personal(shopper: Caller) -> None:
    on_sale("MUG", price=1_000)

    view = started(shopper, MUG=2)

    told = LoggedEvent.objects.get(payload__name="Checkout Started")
    assert (told.topic, told.key) == ("analytics.events", shopper.id)
    assert told.payload["properties"] == {
        "checkout_id": str(view.offer.checkout_id),
        "cart_id": str(shopper.id),
        "item_count": 2,
        "value": 2_490,
        "currency": "EUR",
        "shipping_method": "standard",
    }


# Only a real transaction: inside a test's own, it would be a savepoint and count.
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("lines", [1, 3, 30])
@pytest.mark.parametrize("again", [False, True])
def test_starting_costs_seven_statements(shopper: Caller, statements: Recording, lines: int, again: bool) -> None:
    services.seed_rates()
    for place in range(lines):
        on_sale(f"SKU-{place}")
    filled(shopper, **{f"SKU-{place}": 1 for place in range(lines)})
    if again:
        start(shopper)

    with statements() as counted:
        start(shopper)

    assert len(counted) == 7
