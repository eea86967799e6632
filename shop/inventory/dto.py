"""Shapes inventory hands to others."""

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Wanted:
    """So many units of one article."""

    sku: str
    quantity: int


@dataclass(frozen=True, slots=True)
class StockLevel:
    """The units of one article that lie on the shelf, held ones included."""

    sku: str
    on_hand: int


@dataclass(frozen=True, slots=True)
class Counted:
    """An article's stock after somebody has counted it."""

    sku: str
    on_hand: int
    held: int


@dataclass(frozen=True, slots=True)
class Received:
    """What became of the stock levels of one delivery.

    `kept` names articles whose stock stays as it was, because more units are held than were to be on the shelf.
    """

    created: frozenset[str]
    changed: frozenset[str]
    kept: frozenset[str]


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """An article whose held units differ from what its open reservations add up to. A defect."""

    sku: str
    held: int
    promised: int


class Released(StrEnum):
    """What a release has done."""

    DONE = "released"
    ALREADY = "already_released"
