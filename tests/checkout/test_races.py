"""One shopper, many tabs; many shoppers, few units: at the same instant, with real threads and connections."""

from collections import Counter
from collections.abc import Callable

import pytest

from cart import services as cart
from cart.queries import cart_of
from checkout import services
from checkout.models import Checkout
from checkout.states import Status
from shop.inventory import services as inventory
from shop.inventory.models import Reservation
from shop.inventory.queries import conservation_report
from shop.kernel.auth.dto import Caller
from shop.kernel.ids import new_id
from shop.kernel.transactions import open_unit_of_work
from tests.cart.factories import NOW, filled, on_sale
from tests.checkout.factories import LATER, REQUEST, held, started
from tests.races import tried_at_once

pytestmark = pytest.mark.django_db(transaction=True)


def starting(caller: Caller) -> Callable[[], object]:
    return lambda: services.start(caller=caller, request=REQUEST, now=NOW)


def ordering(caller: Caller) -> Callable[[], object]:
    """Order whatever checkout is open, as `POST /orders` does: the checkout, the cart, the stock."""

    def order() -> str:
        checkout_id = Checkout.objects.filter(user_id=caller.id).values_list("id", flat=True)[0]
        with open_unit_of_work():
            services.claim_for_order(checkout_id=checkout_id, user_id=caller.id, quote_hash=None, now=NOW)
            inventory.allocate(reservation_id=checkout_id)
        return "ordered"

    return order


def outcomes(results: list[object]) -> Counter[str]:
    return Counter(result if isinstance(result, str) else type(result).__name__ for result in results)


def statuses(caller: Caller) -> Counter[str]:
    return Counter(Checkout.objects.filter(user_id=caller.id).values_list("status", flat=True))


@pytest.mark.parametrize("open_before", [False, True])
def test_checkouts_started_at_once_leave_one_open(shopper: Caller, open_before: bool) -> None:
    services.seed_rates()
    on_sale("MUG", available=2)
    filled(shopper, MUG=2)
    if open_before:
        services.start(caller=shopper, request=REQUEST, now=NOW)

    results = tried_at_once(*[starting(shopper)] * 12)

    assert outcomes(results) == {"CheckoutView": 12}
    assert statuses(shopper) == {Status.OPEN: 1, Status.RELEASED: 11 + open_before}
    assert held("MUG") == 2
    assert Reservation.objects.filter(state="reserved").get().id == Checkout.objects.get(status="open").id
    assert conservation_report() == []


def test_shoppers_after_the_last_units_get_no_more_than_there_are() -> None:
    services.seed_rates()
    on_sale("MUG", available=5)
    shoppers = [Caller(id=new_id(), guest=True, staff=False) for _ in range(12)]
    for shopper in shoppers:
        filled(shopper, MUG=1)

    results = tried_at_once(*[starting(shopper) for shopper in shoppers])

    assert outcomes(results) == {"CheckoutView": 5, "InsufficientStock": 7}
    assert Checkout.objects.count() == 5
    assert held("MUG") == 5
    assert conservation_report() == []


def test_a_checkout_is_ordered_once(shopper: Caller) -> None:
    on_sale("MUG")
    started(shopper, MUG=2)

    results = tried_at_once(*[ordering(shopper)] * 8)

    assert outcomes(results) == {"ordered": 1, "CheckoutAlreadyOrdered": 7}
    assert cart_of(user_id=shopper.id).lines == ()
    assert held("MUG") == 2


def test_ordering_while_starting_another_neither_deadlocks_nor_loses_stock(shopper: Caller) -> None:
    on_sale("MUG", available=1_000)
    on_sale("TEA", available=1_000)
    for _ in range(6):
        started(shopper, MUG=1, TEA=1)

        results = tried_at_once(ordering(shopper), starting(shopper), starting(shopper), ordering(shopper))

        # Whoever comes late finds an emptied cart, or a checkout that is ordered, replaced or stale.
        assert set(outcomes(results)) <= {
            "ordered",
            "CheckoutView",
            "CartEmpty",
            "CheckoutAlreadyOrdered",
            "CheckoutStale",
        }
        assert statuses(shopper)[Status.OPEN] <= 1
        assert conservation_report() == []
        cart.clear(caller=shopper, if_version=None, now=NOW)


def test_ordering_while_the_cart_changes_orders_what_was_seen_or_nothing(shopper: Caller) -> None:
    on_sale("MUG", available=1_000)
    for _ in range(6):
        started(shopper, MUG=1)

        ordered, _ = tried_at_once(
            ordering(shopper),
            lambda: cart.add_item(caller=shopper, sku="MUG", quantity=5, if_version=None, now=NOW),
        )

        left = cart_of(user_id=shopper.id).item_count
        if ordered == "ordered":
            assert left == 5
        else:
            assert type(ordered).__name__ == "CheckoutStale"
            assert left == 6
        cart.clear(caller=shopper, if_version=None, now=NOW)


def test_the_clock_and_an_order_never_both_win(shopper: Caller) -> None:
    on_sale("MUG", available=1_000)
    for _ in range(6):
        checkout_id = started(shopper, MUG=1).offer.checkout_id
        Checkout.objects.filter(id=checkout_id).update(expires_at=LATER)

        results = tried_at_once(ordering(shopper), lambda: services.expire_due(now=LATER, limit=10))

        status = Checkout.objects.values_list("status", flat=True).get(id=checkout_id)
        reservation = Reservation.objects.values_list("state", flat=True).get(id=checkout_id)
        assert (results[0] == "ordered", status, reservation) in {
            (True, "ordered", "allocated"),
            (False, "expired", "released"),
        }
        assert conservation_report() == []
        cart.clear(caller=shopper, if_version=None, now=NOW)


def test_two_clocks_expire_each_checkout_once() -> None:
    services.seed_rates()
    on_sale("MUG", available=100)
    for _ in range(10):
        caller = Caller(id=new_id(), guest=True, staff=False)
        filled(caller, MUG=1)
        services.start(caller=caller, request=REQUEST, now=NOW)

    results = tried_at_once(*[lambda: services.expire_due(now=LATER, limit=100)] * 3)

    assert sum(result for result in results if isinstance(result, int)) == 10
    assert held("MUG") == 0
    assert conservation_report() == []
