from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta

import pytest

from cart import services
from cart.dto import CartView
from cart.errors import CartChanged, CartFull, LineExceedsStock, QuantityLimit
from cart.models import Cart, CartLine
from cart.queries import cart_of
from shop.inventory.errors import UnknownSku
from shop.kernel.auth.dto import Caller
from shop.kernel.money import Money
from shop.kernel.outbox.models import LoggedEvent
from shop.kernel.transactions import open_unit_of_work
from tests.cart.factories import NOW, filled, on_sale, stocked, withdrawn

pytestmark = pytest.mark.django_db

Recording = Callable[[], AbstractContextManager[list[str]]]


def add(caller: Caller, sku: str, quantity: int = 1, *, if_version: int | None = None) -> CartView:
    return services.add_item(caller=caller, sku=sku, quantity=quantity, if_version=if_version, now=NOW)


def set_to(caller: Caller, sku: str, quantity: int, *, if_version: int | None = None) -> CartView:
    return services.set_quantity(caller=caller, sku=sku, quantity=quantity, if_version=if_version, now=NOW)


def remove(caller: Caller, sku: str, *, if_version: int | None = None) -> CartView:
    return services.remove_item(caller=caller, sku=sku, if_version=if_version, now=NOW)


def clear(caller: Caller, *, if_version: int | None = None) -> CartView:
    return services.clear(caller=caller, if_version=if_version, now=NOW)


def quantities(cart: CartView) -> dict[str, int]:
    return {line.sku: line.quantity for line in cart.lines}


def told() -> list[tuple[str, object, object]]:
    events = LoggedEvent.objects.order_by("sequence").values_list("payload", flat=True)
    return [(said["name"], said["properties"]["sku"], said["properties"]["quantity"]) for said in events]


def test_the_first_article_makes_the_cart(shopper: Caller) -> None:
    on_sale("MUG", price=1_250, available=9)

    cart = add(shopper, "MUG", 2)

    assert (cart.cart_id, cart.user_id, cart.currency, cart.version) == (shopper.id, shopper.id, "EUR", 1)
    assert [(line.sku, line.name, line.quantity, line.available) for line in cart.lines] == [("MUG", "The MUG", 2, 9)]
    assert cart.lines[0].unit_price == Money(1_250, "EUR")
    assert cart.lines[0].line_total == cart.subtotal == Money(2_500, "EUR")
    assert cart.item_count == 2
    assert cart.warnings == ()


def test_adding_again_adds_up(shopper: Caller) -> None:
    on_sale("MUG")

    add(shopper, "MUG", 2)
    cart = add(shopper, "MUG", 3)

    assert quantities(cart) == {"MUG": 5}
    assert cart.version == 2


def test_what_a_change_answers_is_what_a_read_shows(shopper: Caller) -> None:
    for place, sku in enumerate(["TEA", "MUG", "JAM", "INK"]):
        on_sale(sku, price=100 + place)
        services.add_item(caller=shopper, sku=sku, quantity=2, if_version=None, now=NOW + timedelta(seconds=place))
    remove(shopper, "MUG")
    stocked("JAM", 1)
    on_sale("INK", price=999)
    withdrawn("TEA")
    on_sale("POT")

    answered = services.add_item(caller=shopper, sku="POT", quantity=1, if_version=None, now=NOW + timedelta(seconds=9))

    assert answered == cart_of(user_id=shopper.id)
    assert list(quantities(answered)) == ["TEA", "JAM", "INK", "POT"]
    assert [(warning.code, warning.sku) for warning in answered.warnings] == [
        ("unavailable", "TEA"),
        ("insufficient_stock", "JAM"),
        ("price_changed", "INK"),
    ]


def test_an_unknown_article_is_refused(shopper: Caller) -> None:
    with pytest.raises(UnknownSku):
        add(shopper, "NO-SUCH")

    assert not Cart.objects.exists()


def test_an_article_without_a_price_in_the_carts_currency_is_unknown(shopper: Caller) -> None:
    on_sale("MUG", currency="JPY")

    with pytest.raises(UnknownSku):
        add(shopper, "MUG")


def test_more_than_is_available_is_refused_and_says_how_much_there_is(shopper: Caller) -> None:
    on_sale("MUG", available=3)
    add(shopper, "MUG", 2)

    with pytest.raises(LineExceedsStock) as refused:
        add(shopper, "MUG", 2)

    assert refused.value.data == {"sku": "MUG", "wanted": 4, "available": 3}
    assert quantities(cart_of(user_id=shopper.id)) == {"MUG": 2}


def test_a_line_never_exceeds_its_limit_by_adding_up(shopper: Caller) -> None:
    on_sale("MUG", available=5_000)
    add(shopper, "MUG", 999)

    with pytest.raises(QuantityLimit) as refused:
        add(shopper, "MUG", 1)

    assert refused.value.data == {"sku": "MUG", "wanted": 1_000, "limit": 999}
    assert quantities(cart_of(user_id=shopper.id)) == {"MUG": 999}


def test_a_full_cart_takes_no_other_article_but_more_of_its_own(shopper: Caller) -> None:
    for place in range(100):
        on_sale(f"SKU-{place}")
        add(shopper, f"SKU-{place}")
    on_sale("MUG")

    with pytest.raises(CartFull) as refused:
        add(shopper, "MUG")
    cart = add(shopper, "SKU-7")

    assert refused.value.data == {"limit": 100}
    assert len(cart.lines) == 100
    assert cart.item_count == 101


def test_setting_a_quantity_is_no_addition(shopper: Caller) -> None:
    on_sale("MUG")
    filled(shopper, MUG=5)

    cart = set_to(shopper, "MUG", 2)

    assert quantities(cart) == {"MUG": 2}


def test_setting_puts_an_article_in_that_was_not_there(shopper: Caller) -> None:
    on_sale("MUG")

    assert quantities(set_to(shopper, "MUG", 2)) == {"MUG": 2}


def test_setting_above_what_is_available_is_refused(shopper: Caller) -> None:
    on_sale("MUG", available=1)

    with pytest.raises(LineExceedsStock):
        set_to(shopper, "MUG", 2)

    assert not CartLine.objects.exists()


def test_setting_to_zero_removes_also_what_is_no_longer_sold(shopper: Caller) -> None:
    on_sale("MUG")
    filled(shopper, MUG=5)
    withdrawn("MUG")

    assert quantities(set_to(shopper, "MUG", 0)) == {}


def test_setting_the_same_quantity_accepts_the_new_price(shopper: Caller) -> None:
    on_sale("MUG", price=100)
    filled(shopper, MUG=5)
    on_sale("MUG", price=120)

    cart = set_to(shopper, "MUG", 5)

    assert cart.warnings == ()
    assert cart.version == 2
    assert cart_of(user_id=shopper.id).warnings == ()


def test_removing_takes_the_line_and_leaves_the_others(shopper: Caller) -> None:
    on_sale("MUG")
    on_sale("TEA")
    filled(shopper, MUG=1, TEA=2)

    assert quantities(remove(shopper, "MUG")) == {"TEA": 2}


def test_emptying_takes_every_line(shopper: Caller) -> None:
    on_sale("MUG")
    on_sale("TEA")
    filled(shopper, MUG=1, TEA=2)

    cart = clear(shopper)

    assert (cart.lines, cart.item_count, cart.subtotal) == ((), 0, Money(0, "EUR"))
    assert cart.version == 3
    assert not CartLine.objects.exists()


@pytest.mark.parametrize(
    "change",
    [
        lambda caller: remove(caller, "TEA"),
        lambda caller: set_to(caller, "TEA", 0),
        lambda caller: set_to(caller, "MUG", 2),
    ],
)
def test_a_change_that_changes_nothing_keeps_the_version_and_tells_nothing(
    shopper: Caller, change: Callable[[Caller], CartView]
) -> None:
    on_sale("MUG")
    on_sale("TEA")
    filled(shopper, MUG=2)

    cart = change(shopper)

    assert cart.version == 1
    assert told() == [("Product Added", "MUG", 2)]


def test_emptying_a_cart_that_never_was_writes_nothing(shopper: Caller) -> None:
    cart = clear(shopper)

    assert (cart.version, cart.lines) == (0, ())
    assert not Cart.objects.exists()


@pytest.mark.parametrize(
    "change",
    [
        lambda caller: add(caller, "MUG", if_version=1),
        lambda caller: set_to(caller, "MUG", 9, if_version=1),
        lambda caller: remove(caller, "MUG", if_version=1),
        lambda caller: clear(caller, if_version=1),
    ],
)
def test_a_change_meant_for_an_older_version_is_refused(shopper: Caller, change: Callable[[Caller], CartView]) -> None:
    on_sale("MUG")
    filled(shopper, MUG=1)
    filled(shopper, MUG=1)

    with pytest.raises(CartChanged) as refused:
        change(shopper)

    assert refused.value.data == {"version": 2}
    assert quantities(cart_of(user_id=shopper.id)) == {"MUG": 2}


def test_a_change_meant_for_this_version_is_made(shopper: Caller) -> None:
    on_sale("MUG")

    add(shopper, "MUG", if_version=0)
    cart = add(shopper, "MUG", if_version=1)

    assert (quantities(cart), cart.version) == ({"MUG": 2}, 2)


def test_carts_do_not_touch_each_other(shopper: Caller, stranger: Caller) -> None:
    on_sale("MUG")
    filled(shopper, MUG=1)
    filled(stranger, MUG=2)

    clear(stranger)

    assert quantities(cart_of(user_id=shopper.id)) == {"MUG": 1}


def test_changes_are_told_as_units_added_and_removed(shopper: Caller) -> None:
    on_sale("MUG")
    on_sale("TEA")

    add(shopper, "MUG", 2)
    set_to(shopper, "MUG", 5)
    set_to(shopper, "MUG", 4)
    add(shopper, "TEA", 1)
    remove(shopper, "TEA")
    clear(shopper)

    assert told() == [
        ("Product Added", "MUG", 2),
        ("Product Added", "MUG", 3),
        ("Product Removed", "MUG", 1),
        ("Product Added", "TEA", 1),
        ("Product Removed", "TEA", 1),
        ("Product Removed", "MUG", 4),
    ]


def test_what_is_told_names_the_shopper_and_minor_units(shopper: Caller) -> None:
    on_sale("MUG", price=1_250)

    add(replace(shopper, guest=True), "MUG", 2)

    told_once = LoggedEvent.objects.get()
    assert (told_once.topic, told_once.key) == ("analytics.events", shopper.id)
    assert told_once.payload["guest"] is True
    assert told_once.payload["properties"] == {
        "cart_id": str(shopper.id),
        "sku": "MUG",
        "quantity": 2,
        "price": 1_250,
        "currency": "EUR",
    }


def test_ordering_empties_the_cart_at_the_version_it_saw(shopper: Caller) -> None:
    on_sale("MUG")
    filled(shopper, MUG=2)

    with open_unit_of_work():
        emptied = services.empty_if_unchanged(cart_id=shopper.id, version=1, now=NOW)

    assert emptied is True
    assert (cart_of(user_id=shopper.id).version, cart_of(user_id=shopper.id).lines) == (2, ())


def test_a_cart_that_has_moved_on_is_not_emptied(shopper: Caller) -> None:
    on_sale("MUG")
    filled(shopper, MUG=2)
    filled(shopper, MUG=1)

    with open_unit_of_work():
        emptied = services.empty_if_unchanged(cart_id=shopper.id, version=1, now=NOW)

    assert emptied is False
    assert quantities(cart_of(user_id=shopper.id)) == {"MUG": 3}


# Only a real transaction: inside a test's own, it would be a savepoint and count.
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("lines", [1, 3, 30])
def test_every_change_costs_four_statements(shopper: Caller, statements: Recording, lines: int) -> None:
    for place in range(lines):
        on_sale(f"SKU-{place}")
        add(shopper, f"SKU-{place}")
    on_sale("MUG")
    changes: list[Callable[[], object]] = [
        lambda: add(shopper, "MUG"),
        lambda: add(shopper, "MUG", if_version=lines + 1),
        lambda: set_to(shopper, "SKU-0", 7),
        lambda: remove(shopper, "MUG"),
        lambda: clear(shopper),
    ]

    counts = []
    for change in changes:
        with statements() as counted:
            change()
        counts.append(len(counted))

    assert counts == [4, 4, 4, 4, 4]


def test_emptying_for_an_order_costs_one_statement(shopper: Caller, statements: Recording) -> None:
    on_sale("MUG")
    filled(shopper, MUG=1)

    with open_unit_of_work(), statements() as counted:
        services.empty_if_unchanged(cart_id=shopper.id, version=1, now=NOW)

    assert len(counted) == 1
