"""Shoppers at the same instant, with real threads and connections of their own."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from uuid import UUID

import pytest
from django.db import connection

from shop.inventory import services
from shop.inventory.dto import Released, Wanted
from shop.inventory.errors import InsufficientStock, ReservationGone
from shop.inventory.models import Reservation
from shop.inventory.queries import conservation_report
from shop.inventory.states import ReservationState
from shop.kernel.ids import new_id
from shop.kernel.transactions import open_unit_of_work
from tests.races import tried_at_once
from tests.shop.inventory.factories import EXPIRES_AT, HOLDER, reservation_in, reserved, stock_of, stocked

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(deeds: Sequence[Callable[[], object]]) -> list[object]:
    """Do all deeds at the same instant, each in a unit of work; return what each returned or raised."""

    def run(deed: Callable[[], object]) -> object:
        with open_unit_of_work():
            return deed()

    return tried_at_once(*[partial(run, deed) for deed in deeds])


def reserving(lines: list[Wanted], *, replaces: UUID | None = None) -> Callable[[], object]:
    return lambda: services.reserve(
        reservation_id=new_id(), holder=HOLDER, lines=lines, expires_at=EXPIRES_AT, replaces=replaces
    )


def reallocating(reservation_id: UUID) -> Callable[[], object]:
    return lambda: services.reallocate(reservation_id=reservation_id)


def wait_for_somebody_who_waits() -> None:
    deadline = time.monotonic() + 60
    waits = False
    while not waits:
        assert time.monotonic() < deadline, "nobody waits for a lock"
        with connection.cursor() as cursor:
            # Of this database only, as xdist's workers share a server; and fresh, as a transaction keeps what it saw.
            cursor.execute("SELECT pg_stat_clear_snapshot()")
            cursor.execute(
                "SELECT EXISTS (SELECT FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event_type = 'Lock')"
            )
            (waits,) = cursor.fetchone()


def outcomes(results: list[object]) -> Counter[str]:
    return Counter(type(result).__name__ for result in results)


def test_twenty_shoppers_for_five_units() -> None:
    stocked(MUG=5)

    results = at_once([reserving([Wanted("MUG", 1)])] * 20)

    assert outcomes(results) == {"NoneType": 5, "InsufficientStock": 15}
    assert stock_of("MUG") == (5, 5)
    assert Reservation.objects.count() == 5
    assert conservation_report() == []


def test_carts_with_crossing_articles_never_deadlock() -> None:
    skus = [f"SKU-{place}" for place in range(6)]
    stocked(**dict.fromkeys(skus, 1_000))
    there, back = [Wanted(sku, 1) for sku in skus], [Wanted(sku, 1) for sku in reversed(skus)]

    for _ in range(5):
        results = at_once([reserving(there), reserving(back)] * 5)
        assert outcomes(results) == {"NoneType": 10}

    assert [stock_of(sku) for sku in skus] == [(1_000, 50)] * 6
    assert conservation_report() == []


def test_replacing_reservations_cross_without_deadlock() -> None:
    skus = [f"SKU-{place}" for place in range(6)]
    stocked(**dict.fromkeys(skus, 10))
    low = [reserved(**dict.fromkeys(skus[:3], 1)) for _ in range(5)]
    high = [reserved(**dict.fromkeys(skus[3:], 1)) for _ in range(5)]
    to_high = [reserving([Wanted(sku, 1) for sku in skus[3:]], replaces=old) for old in low]
    to_low = [reserving([Wanted(sku, 1) for sku in skus[:3]], replaces=old) for old in high]

    results = at_once(to_high + to_low)

    assert outcomes(results) == {"NoneType": 10}
    assert [stock_of(sku) for sku in skus] == [(10, 5)] * 6
    assert conservation_report() == []


def test_one_reservation_is_replaced_once() -> None:
    stocked(MUG=5)
    first = reserved(MUG=4)

    results = at_once([reserving([Wanted("MUG", 4)], replaces=first)] * 8)

    assert outcomes(results) == {"NoneType": 1, "InsufficientStock": 7}
    assert stock_of("MUG") == (5, 4)
    assert conservation_report() == []


@pytest.mark.parametrize("attempt", range(5))
def test_release_against_allocate_and_commit(attempt: int) -> None:
    stocked(MUG=5, TEA=5)
    reservation_id = reserved(MUG=2, TEA=3)

    def order() -> None:
        services.allocate(reservation_id=reservation_id)
        services.commit(reservation_id=reservation_id)

    released, ordered = at_once([lambda: services.release(reservation_id=reservation_id), order])

    if released is Released.DONE:
        assert isinstance(ordered, ReservationGone)
        assert (stock_of("MUG"), stock_of("TEA")) == ((5, 0), (5, 0))
    else:
        assert ordered is None
        assert (stock_of("MUG"), stock_of("TEA")) == ((3, 0), (2, 0))
    assert conservation_report() == []


def test_ten_releases_give_back_once() -> None:
    stocked(MUG=5)
    reserved(MUG=3)
    reservation_id = reserved(MUG=2)

    results = at_once([lambda: services.release(reservation_id=reservation_id)] * 10)

    assert Counter(results) == {Released.DONE: 1, Released.ALREADY: 9}
    assert stock_of("MUG") == (5, 3)


def test_late_money_and_new_shoppers_share_what_is_left() -> None:
    stocked(MUG=6)
    late = [reservation_in(ReservationState.RELEASED, MUG=2) for _ in range(5)]
    deeds: list[Callable[[], object]] = [
        lambda reservation_id=reservation_id: services.reallocate(reservation_id=reservation_id)  # type: ignore[misc]  # mypy does not infer a default's type
        for reservation_id in late
    ]

    results = at_once([*deeds, *[reserving([Wanted("MUG", 2)])] * 5])

    assert outcomes(results) == {"NoneType": 3, "InsufficientStock": 7}
    assert stock_of("MUG") == (6, 6)
    assert conservation_report() == []


@pytest.mark.parametrize("anew", [True, False])
def test_units_given_back_while_somebody_waits_for_them_can_be_had(anew: bool) -> None:
    stocked(MUG=4)
    late = reservation_in(ReservationState.RELEASED, MUG=1)
    leaving = reserved(MUG=4)
    wish = reserving([Wanted("MUG", 1)]) if anew else reallocating(late)

    with ThreadPoolExecutor(1) as pool:
        with open_unit_of_work():
            services.release(reservation_id=leaving)
            waiting = pool.submit(at_once, [wish])
            wait_for_somebody_who_waits()
        results = waiting.result(timeout=60)

    assert results == [None]
    assert stock_of("MUG") == (4, 1)
    assert conservation_report() == []


def test_small_and_large_wishes_never_oversell() -> None:
    stocked(MUG=10)

    results = at_once([*[reserving([Wanted("MUG", 1)])] * 9, reserving([Wanted("MUG", 9)])])

    held = sum(9 if place == 9 else 1 for place, result in enumerate(results) if result is None)
    assert all(result is None or isinstance(result, InsufficientStock) for result in results)
    assert stock_of("MUG") == (10, held)


def test_units_that_sell_many_orders_cross_without_deadlock() -> None:
    stocked(MUG=5, TEA=5)
    mug, other_mug = [reservation_in(ReservationState.ALLOCATED, MUG=1) for _ in range(2)]
    tea, other_tea = [reservation_in(ReservationState.ALLOCATED, TEA=1) for _ in range(2)]
    half_way = threading.Barrier(2)

    def selling(first: UUID, second: UUID) -> Callable[[], object]:
        def sell() -> None:
            services.commit(reservation_id=first)
            half_way.wait(30)
            services.commit(reservation_id=second)

        return sell

    results = at_once([selling(mug, tea), selling(other_tea, other_mug)])

    assert outcomes(results) == {"NoneType": 2}
    assert (stock_of("MUG"), stock_of("TEA")) == ((3, 0), (3, 0))
    assert conservation_report() == []
