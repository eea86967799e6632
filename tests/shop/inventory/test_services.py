from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial

import pytest
from django.db import IntegrityError, transaction

from shop.inventory import services
from shop.inventory.dto import Received, Released, StockLevel, Wanted
from shop.inventory.errors import InsufficientStock, ReservationGone, StockBelowHeld, UnknownSku
from shop.inventory.models import Reservation, ReservationLine, Stock
from shop.inventory.queries import available, conservation_report
from shop.inventory.states import ReservationState
from shop.kernel.errors import IllegalTransition
from shop.kernel.ids import new_id
from shop.kernel.transactions import TransactionMisuse, open_unit_of_work
from tests.shop.inventory.factories import EXPIRES_AT, HOLDER, reservation_in, reserved, stock_of, stocked

pytestmark = pytest.mark.django_db
Counting = Callable[[], AbstractContextManager[list[str]]]


def test_reserving_holds_every_line() -> None:
    stocked(MUG=5, TEA=9)

    reservation_id = reserved(TEA=4, MUG=2)

    assert available(skus=["MUG", "TEA"]) == {"MUG": 3, "TEA": 5}
    assert stock_of("MUG") == (5, 2)
    reservation = Reservation.objects.get(id=reservation_id)
    assert (reservation.state, reservation.expires_at) == ("reserved", EXPIRES_AT)
    assert reservation.holder == HOLDER
    lines = ReservationLine.objects.filter(reservation=reservation)
    assert list(lines.values_list("sku", "quantity")) == [("MUG", 2), ("TEA", 4)]


def test_the_same_article_on_two_lines_adds_up() -> None:
    stocked(MUG=5)

    with open_unit_of_work():
        services.reserve(
            reservation_id=new_id(), holder=HOLDER, lines=[Wanted("MUG", 2), Wanted("MUG", 3)], expires_at=EXPIRES_AT
        )

    assert stock_of("MUG") == (5, 5)


def test_one_short_line_reserves_none() -> None:
    stocked(MUG=5, TEA=1)
    reservation_id = new_id()
    lines = [Wanted("MUG", 2), Wanted("TEA", 2), Wanted("NO-SUCH", 1)]

    with pytest.raises(InsufficientStock) as refusal, open_unit_of_work():
        services.reserve(reservation_id=reservation_id, holder=HOLDER, lines=lines, expires_at=EXPIRES_AT)

    assert refusal.value.lines == [
        {"sku": "NO-SUCH", "wanted": 1, "available": 0},
        {"sku": "TEA", "wanted": 2, "available": 1},
    ]
    assert refusal.value.data == {"lines": refusal.value.lines}
    assert (stock_of("MUG"), stock_of("TEA")) == ((5, 0), (1, 0))
    assert not Reservation.objects.filter(id=reservation_id).exists()


def test_a_refused_reservation_changes_nothing_even_if_the_caller_goes_on() -> None:
    stocked(MUG=5, TEA=1)
    first = reserved(MUG=5)

    with open_unit_of_work(), pytest.raises(InsufficientStock):
        services.reserve(
            reservation_id=new_id(), holder=HOLDER, lines=[Wanted("TEA", 2)], expires_at=EXPIRES_AT, replaces=first
        )

    assert (stock_of("MUG"), stock_of("TEA")) == ((5, 5), (1, 0))
    assert Reservation.objects.get().state == "reserved"


def test_replacing_gives_the_held_units_back_first() -> None:
    stocked(MUG=5, TEA=2)
    first = reserved(MUG=5, TEA=1)
    second = new_id()

    with open_unit_of_work():
        services.reserve(
            reservation_id=second, holder=HOLDER, lines=[Wanted("MUG", 4)], expires_at=EXPIRES_AT, replaces=first
        )

    assert (stock_of("MUG"), stock_of("TEA")) == ((5, 4), (2, 0))
    assert Reservation.objects.get(id=first).state == "released"
    assert Reservation.objects.get(id=second).state == "reserved"
    assert conservation_report() == []


def test_replacing_does_not_take_from_an_order() -> None:
    stocked(MUG=5)
    ordered = reservation_in(ReservationState.ALLOCATED, MUG=3)

    with pytest.raises(InsufficientStock), open_unit_of_work():
        services.reserve(
            reservation_id=new_id(), holder=HOLDER, lines=[Wanted("MUG", 3)], expires_at=EXPIRES_AT, replaces=ordered
        )

    assert Reservation.objects.get().state == "allocated"
    assert stock_of("MUG") == (5, 3)


def test_a_sale_takes_the_units_off_the_shelf() -> None:
    stocked(MUG=5)
    reservation_id = reserved(MUG=2)

    with open_unit_of_work():
        services.allocate(reservation_id=reservation_id)
        services.commit(reservation_id=reservation_id)

    assert stock_of("MUG") == (3, 0)
    assert Reservation.objects.get().expires_at is None


def test_restocking_puts_them_back() -> None:
    stocked(MUG=5)
    reservation_id = reservation_in(ReservationState.COMMITTED, MUG=2)

    with open_unit_of_work():
        services.restock(reservation_id=reservation_id)

    assert stock_of("MUG") == (5, 0)


@pytest.mark.parametrize("state", [ReservationState.RESERVED, ReservationState.ALLOCATED])
def test_second_release_changes_nothing_and_says_so(state: ReservationState) -> None:
    stocked(MUG=5)
    reservation_id = reservation_in(state, MUG=2)

    with open_unit_of_work():
        first = services.release(reservation_id=reservation_id)
        second = services.release(reservation_id=reservation_id)

    assert (first, second) == (Released.DONE, Released.ALREADY)
    assert stock_of("MUG") == (5, 0)


def test_what_was_never_reserved_is_gone() -> None:
    for move in (services.allocate, services.reallocate, services.commit, services.release, services.restock):
        with pytest.raises(ReservationGone), open_unit_of_work():
            move(reservation_id=new_id())


def test_sold_units_cannot_be_released() -> None:
    stocked(MUG=5)
    reservation_id = reservation_in(ReservationState.COMMITTED, MUG=2)

    with pytest.raises(IllegalTransition), open_unit_of_work():
        services.release(reservation_id=reservation_id)

    assert stock_of("MUG") == (3, 0)


def test_late_money_takes_the_stock_again() -> None:
    stocked(MUG=5, TEA=5)
    reservation_id = reservation_in(ReservationState.RELEASED, MUG=2, TEA=5)

    with open_unit_of_work():
        services.reallocate(reservation_id=reservation_id)

    assert (stock_of("MUG"), stock_of("TEA")) == ((5, 2), (5, 5))
    assert Reservation.objects.get().state == "allocated"


def test_late_money_finds_the_stock_gone() -> None:
    stocked(MUG=5, TEA=5)
    late = reservation_in(ReservationState.RELEASED, MUG=2, TEA=5)
    reserved(TEA=1)

    with pytest.raises(InsufficientStock) as refusal, open_unit_of_work():
        services.reallocate(reservation_id=late)

    assert refusal.value.lines == [{"sku": "TEA", "wanted": 5, "available": 4}]
    assert Reservation.objects.get(id=late).state == "released"
    assert (stock_of("MUG"), stock_of("TEA")) == ((5, 0), (5, 1))


@pytest.mark.parametrize("lines", [1, 3, 30])
def test_every_way_is_one_statement(statements: Counting, lines: int) -> None:
    skus = [f"SKU-{place:02}" for place in range(lines)]
    stocked(**dict.fromkeys(skus, 9))
    old, reservation_id = reserved(**dict.fromkeys(skus, 1)), new_id()
    wanted = [Wanted(sku, 2) for sku in skus]
    ways: dict[str, Callable[[], object]] = {
        "reserve": partial(
            services.reserve,
            reservation_id=reservation_id,
            holder=HOLDER,
            lines=wanted,
            expires_at=EXPIRES_AT,
            replaces=old,
        ),
        "allocate": partial(services.allocate, reservation_id=reservation_id),
        "release": partial(services.release, reservation_id=reservation_id),
        "reallocate": partial(services.reallocate, reservation_id=reservation_id),
        "commit": partial(services.commit, reservation_id=reservation_id),
        "restock": partial(services.restock, reservation_id=reservation_id),
    }

    with statements() as idle, open_unit_of_work():
        pass
    counts = {}
    for name, way in ways.items():
        with statements() as counted, open_unit_of_work():
            way()
        counts[name] = len(counted) - len(idle)

    assert counts == dict.fromkeys(ways, 1)
    assert conservation_report() == []


def test_a_delivery_adds_new_articles_and_leaves_live_stock_alone() -> None:
    stocked(MUG=5)

    with open_unit_of_work():
        received = services.receive(levels=[StockLevel("MUG", 50), StockLevel("TEA", 7)], overwrite=False)

    assert received == Received(created=frozenset({"TEA"}), changed=frozenset(), kept=frozenset())
    assert available(skus=["MUG", "TEA"]) == {"MUG": 5, "TEA": 7}


def test_overwriting_never_goes_below_what_is_held() -> None:
    stocked(MUG=5, TEA=7, POT=1)
    reserved(MUG=3)
    levels = [StockLevel("MUG", 2), StockLevel("TEA", 8), StockLevel("POT", 1)]

    with open_unit_of_work():
        received = services.receive(levels=levels, overwrite=True)

    assert received == Received(created=frozenset(), changed=frozenset({"TEA"}), kept=frozenset({"MUG"}))
    assert stock_of("MUG") == (5, 3)


def test_counting_sets_the_units_on_hand() -> None:
    stocked(MUG=5)
    reserved(MUG=3)

    services.set_on_hand(sku="MUG", on_hand=3)

    assert stock_of("MUG") == (3, 3)


@pytest.mark.parametrize("on_hand", [2, -1])
def test_counting_below_what_is_held_is_refused(on_hand: int) -> None:
    stocked(MUG=5)
    reserved(MUG=3)

    with pytest.raises(StockBelowHeld) as refusal:
        services.set_on_hand(sku="MUG", on_hand=on_hand)

    assert refusal.value.data == {"sku": "MUG", "on_hand": on_hand, "held": 3}
    assert stock_of("MUG") == (5, 3)


def test_counting_an_unknown_article_is_refused() -> None:
    with pytest.raises(UnknownSku):
        services.set_on_hand(sku="NO-SUCH", on_hand=1)

    assert not Stock.objects.exists()


@pytest.mark.parametrize("change", [{"held": 6}, {"held": -1}, {"on_hand": 1}])
def test_the_database_is_the_last_judge(change: dict[str, int]) -> None:
    stocked(MUG=5)
    reserved(MUG=2)

    with pytest.raises(IntegrityError, match="inventory_stock_held_within_on_hand"), transaction.atomic():
        Stock.objects.filter(sku="MUG").update(**change)


def test_services_ask_for_a_unit_of_work() -> None:
    with pytest.raises(TransactionMisuse):
        services.release(reservation_id=new_id())
