"""The life of a checkout: its status words and the one table of moves."""

from enum import StrEnum

from shop.kernel.errors import IllegalTransition


class Status(StrEnum):
    """Where a checkout stands."""

    OPEN = "open"
    ORDERED = "ordered"
    RELEASED = "released"
    EXPIRED = "expired"


# Only an open checkout moves, so every UPDATE of a status carries `WHERE status = 'open'`.
TRANSITIONS: dict[Status, frozenset[Status]] = {
    Status.OPEN: frozenset({Status.ORDERED, Status.RELEASED, Status.EXPIRED}),
    Status.ORDERED: frozenset(),
    Status.RELEASED: frozenset(),
    Status.EXPIRED: frozenset(),
}


def check_move(*, current: str, wanted: Status) -> None:
    """Raise IllegalTransition unless the table of moves holds this one."""
    if wanted not in TRANSITIONS[Status(current)]:
        raise IllegalTransition(entity="A checkout", current=current, wanted=wanted)
