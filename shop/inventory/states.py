"""The states of a reservation and the one table of its moves."""

from enum import StrEnum


class ReservationState(StrEnum):
    """`reserved` and `allocated` hold stock; `committed` has taken it off the shelf."""

    RESERVED = "reserved"
    ALLOCATED = "allocated"
    COMMITTED = "committed"
    RELEASED = "released"
    RESTOCKED = "restocked"


TRANSITIONS: dict[ReservationState, frozenset[ReservationState]] = {
    ReservationState.RESERVED: frozenset({ReservationState.ALLOCATED, ReservationState.RELEASED}),
    ReservationState.ALLOCATED: frozenset({ReservationState.COMMITTED, ReservationState.RELEASED}),
    ReservationState.COMMITTED: frozenset({ReservationState.RESTOCKED}),
    # Money that comes after the release takes the stock again, if it is still there.
    ReservationState.RELEASED: frozenset({ReservationState.ALLOCATED}),
    ReservationState.RESTOCKED: frozenset(),
}


def sources(wanted: ReservationState) -> list[ReservationState]:
    """Return the states from which a reservation may move to `wanted`."""
    return [current for current, reachable in TRANSITIONS.items() if wanted in reachable]
