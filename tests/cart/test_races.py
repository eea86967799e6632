"""One shopper, many tabs, at the same instant."""

import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager

import pytest
from django.db import connection

from cart import services
from cart.dto import CartView
from cart.queries import cart_of
from shop.kernel.auth.dto import Caller
from shop.kernel.outbox.models import LoggedEvent
from shop.kernel.transactions import open_unit_of_work
from tests.cart.factories import NOW, filled, on_sale
from tests.races import tried_at_once

pytestmark = pytest.mark.django_db(transaction=True)


def adding(caller: Caller, sku: str, *, if_version: int | None = None) -> Callable[[], object]:
    return lambda: services.add_item(caller=caller, sku=sku, quantity=1, if_version=if_version, now=NOW)


def emptying(caller: Caller, *, version: int) -> Callable[[], object]:
    def empty() -> bool:
        with open_unit_of_work():
            return services.empty_if_unchanged(cart_id=caller.id, version=version, now=NOW)

    return empty


def wait_until_somebody_waits_for_a_lock() -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with connection.cursor() as cursor:
            # Of this database only, as xdist's workers share a server; and fresh, as a transaction keeps what it saw.
            cursor.execute("SELECT pg_stat_clear_snapshot()")
            cursor.execute(
                "SELECT EXISTS (SELECT FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event_type = 'Lock')"
            )
            if cursor.fetchone() == (True,):
                return
    pytest.fail("Nobody waited for a lock.")


@pytest.mark.parametrize("filled_before", [False, True])
def test_adds_at_once_all_count(shopper: Caller, filled_before: bool) -> None:
    on_sale("MUG", available=100)
    on_sale("TEA", available=100)
    if filled_before:
        filled(shopper, TEA=1)

    results = tried_at_once(*[adding(shopper, "MUG"), adding(shopper, "TEA")] * 8)

    cart = cart_of(user_id=shopper.id)
    assert Counter(type(result) for result in results) == {CartView: 16}
    assert {line.sku: line.quantity for line in cart.lines} == {"MUG": 8, "TEA": 8 + filled_before}
    assert cart.version == 16 + filled_before
    assert LoggedEvent.objects.count() == 16 + filled_before
    versions = sorted(result.version for result in results if isinstance(result, CartView))
    assert versions == list(range(1 + filled_before, 17 + filled_before))


def test_a_change_that_lost_a_race_locks_the_cart_and_wins_the_next(
    shopper: Caller, statements: Callable[[], AbstractContextManager[list[str]]]
) -> None:
    on_sale("MUG", available=100)
    filled(shopper, MUG=1)
    seen: list[str] = []

    def counting() -> object:
        with statements() as counted:
            cart = adding(shopper, "MUG")()
        seen.extend(counted)
        return cart

    with ThreadPoolExecutor(1) as pool:
        with open_unit_of_work():
            services.empty_if_unchanged(cart_id=shopper.id, version=1, now=NOW)
            added = pool.submit(tried_at_once, counting)
            wait_until_somebody_waits_for_a_lock()
        [cart] = added.result(timeout=60)

    assert isinstance(cart, CartView)
    assert (cart.version, cart.item_count) == (3, 1)
    # Read, offers, write; lost: lock, read, offers, write; outbox.
    assert len(seen) == 8
    assert "FOR UPDATE" in seen[3]


def test_of_changes_meant_for_one_version_one_is_made(shopper: Caller) -> None:
    on_sale("MUG", available=100)
    filled(shopper, MUG=1)

    results = tried_at_once(*[adding(shopper, "MUG", if_version=1)] * 8)

    assert Counter(type(result).__name__ for result in results) == {"CartView": 1, "CartChanged": 7}
    assert cart_of(user_id=shopper.id).item_count == 2


def test_adding_while_an_order_empties_the_cart_loses_nothing(shopper: Caller) -> None:
    on_sale("MUG", available=100)
    for _ in range(5):
        version = filled(shopper, MUG=1).version
        before = cart_of(user_id=shopper.id).item_count

        emptied, added = tried_at_once(emptying(shopper, version=version), adding(shopper, "MUG"))

        assert isinstance(added, CartView)
        assert cart_of(user_id=shopper.id).item_count == (1 if emptied else before + 1)
