from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from pytest_django import Settings

from cart.models import Cart
from cart.queries import cart_of, contents_for_checkout
from cart.services import clear
from shop.inventory.dto import Wanted
from shop.kernel.auth.dto import Caller
from shop.kernel.money import Money
from tests.cart.factories import NOW, filled, on_sale, stocked, withdrawn

pytestmark = pytest.mark.django_db

Recording = Callable[[], AbstractContextManager[list[str]]]


def test_a_shopper_without_a_cart_sees_an_empty_one(shopper: Caller) -> None:
    cart = cart_of(user_id=shopper.id)

    assert (cart.cart_id, cart.user_id, cart.currency, cart.version) == (shopper.id, shopper.id, "EUR", 0)
    assert (cart.lines, cart.item_count, cart.subtotal, cart.warnings) == ((), 0, Money(0, "EUR"), ())
    assert not Cart.objects.exists()


@pytest.mark.parametrize("lines", [1, 3, 30])
def test_reading_costs_two_statements_and_writes_nothing(shopper: Caller, statements: Recording, lines: int) -> None:
    for place in range(lines):
        on_sale(f"SKU-{place}")
        filled(shopper, **{f"SKU-{place}": 1})
    before = Cart.objects.values().get()

    with statements() as counted:
        cart = cart_of(user_id=shopper.id)

    assert len(counted) == 2
    assert all(sql.lstrip().startswith(("SELECT", "WITH")) for sql in counted)
    assert Cart.objects.values().get() == before
    assert len(cart.lines) == lines


def test_sums_are_todays(shopper: Caller) -> None:
    on_sale("MUG", price=1_000)
    on_sale("TEA", price=333)
    filled(shopper, MUG=2, TEA=3)
    on_sale("TEA", price=350)

    cart = cart_of(user_id=shopper.id)

    assert [line.line_total.amount for line in cart.lines] == [2_000, 1_050]
    assert cart.subtotal == Money(3_050, "EUR")
    assert [(warning.code, warning.sku, warning.detail) for warning in cart.warnings] == [
        ("price_changed", "TEA", "The price was 3.33 EUR and is 3.50 EUR now.")
    ]


def test_a_shortage_is_a_warning(shopper: Caller) -> None:
    on_sale("MUG", available=5)
    filled(shopper, MUG=3)
    stocked("MUG", 2)

    cart = cart_of(user_id=shopper.id)

    assert [(warning.code, warning.detail) for warning in cart.warnings] == [
        ("insufficient_stock", "3 units are wanted and 2 are available.")
    ]
    assert cart.lines[0].available == 2


def test_what_is_no_longer_sold_keeps_its_name_and_the_price_last_seen(shopper: Caller) -> None:
    on_sale("MUG", price=1_000)
    filled(shopper, MUG=3)
    withdrawn("MUG")

    cart = cart_of(user_id=shopper.id)

    [line] = cart.lines
    assert (line.name, line.unit_price, line.line_total, line.available) == (
        "The MUG",
        Money(1_000, "EUR"),
        Money(3_000, "EUR"),
        0,
    )
    assert [(warning.code, warning.sku) for warning in cart.warnings] == [("unavailable", "MUG")]


def test_yen_and_dinars_are_exact(shopper: Caller, stranger: Caller, settings: Settings) -> None:
    settings.DEFAULT_CURRENCY = "JPY"
    on_sale("MUG", price=1_234, currency="JPY")
    filled(shopper, MUG=3)
    settings.DEFAULT_CURRENCY = "KWD"
    on_sale("TEA", price=1_234_567, currency="KWD")
    filled(stranger, TEA=3)

    assert cart_of(user_id=shopper.id).subtotal == Money(3_702, "JPY")
    assert cart_of(user_id=stranger.id).subtotal == Money(3_703_701, "KWD")


def test_an_emptied_cart_follows_the_shop_to_another_currency(shopper: Caller, settings: Settings) -> None:
    on_sale("MUG")
    filled(shopper, MUG=1)
    clear(caller=shopper, if_version=None, now=NOW)
    settings.DEFAULT_CURRENCY = "JPY"
    on_sale("MUG", price=120, currency="JPY")

    cart = filled(shopper, MUG=1)

    assert cart.subtotal == Money(120, "JPY")
    assert cart_of(user_id=shopper.id) == cart


def test_a_checkout_gets_version_and_lines_in_one_statement(shopper: Caller, statements: Recording) -> None:
    on_sale("MUG")
    on_sale("TEA")
    filled(shopper, MUG=2, TEA=1)

    with statements() as counted:
        contents = contents_for_checkout(user_id=shopper.id)

    assert len(counted) == 1
    assert contents is not None
    assert (contents.cart_id, contents.version, contents.currency) == (shopper.id, 2, "EUR")
    assert set(contents.lines) == {Wanted("MUG", 2), Wanted("TEA", 1)}


def test_a_checkout_gets_nothing_from_a_cart_that_never_was(shopper: Caller) -> None:
    assert contents_for_checkout(user_id=shopper.id) is None
