from itertools import product

import pytest

from shop.inventory import services
from shop.inventory.errors import ReservationGone
from shop.inventory.models import Reservation
from shop.inventory.queries import conservation_report
from shop.inventory.states import TRANSITIONS, ReservationState, sources
from shop.kernel.errors import IllegalTransition
from shop.kernel.transactions import open_unit_of_work
from tests.shop.inventory.factories import reservation_in, stock_of, stocked

MOVES = {
    "allocate": (services.allocate, ReservationState.ALLOCATED),
    "reallocate": (services.reallocate, ReservationState.ALLOCATED),
    "commit": (services.commit, ReservationState.COMMITTED),
    "release": (services.release, ReservationState.RELEASED),
    "restock": (services.restock, ReservationState.RESTOCKED),
}
LEGAL = {
    ("allocate", ReservationState.RESERVED),
    ("reallocate", ReservationState.RELEASED),
    ("commit", ReservationState.ALLOCATED),
    ("release", ReservationState.RESERVED),
    ("release", ReservationState.ALLOCATED),
    ("restock", ReservationState.COMMITTED),
}
# Released twice: a no-op that says so, see test_services.
REPEATED = {("release", ReservationState.RELEASED)}


def test_the_table_knows_every_state() -> None:
    assert set(TRANSITIONS) == set(ReservationState)


def test_sources_reads_the_table_backwards() -> None:
    assert sources(ReservationState.RELEASED) == [ReservationState.RESERVED, ReservationState.ALLOCATED]
    assert sources(ReservationState.RESERVED) == []


@pytest.mark.django_db
@pytest.mark.parametrize(("move", "state"), sorted(LEGAL))
def test_legal_moves(move: str, state: ReservationState) -> None:
    stocked(MUG=5)
    reservation_id = reservation_in(state, MUG=2)
    service, wanted = MOVES[move]

    with open_unit_of_work():
        service(reservation_id=reservation_id)

    assert Reservation.objects.get(id=reservation_id).state == wanted
    assert wanted in TRANSITIONS[state]
    assert conservation_report() == []


@pytest.mark.django_db
@pytest.mark.parametrize(("move", "state"), sorted({*product(MOVES, ReservationState)} - LEGAL - REPEATED))
def test_illegal_moves_change_nothing(move: str, state: ReservationState) -> None:
    stocked(MUG=5)
    reservation_id = reservation_in(state, MUG=2)
    before = stock_of("MUG")
    service, _ = MOVES[move]

    with pytest.raises((IllegalTransition, ReservationGone)), open_unit_of_work():
        service(reservation_id=reservation_id)

    assert Reservation.objects.get(id=reservation_id).state == state
    assert stock_of("MUG") == before
