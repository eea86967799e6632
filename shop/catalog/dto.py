"""Shapes the catalogue hands to others."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from shop.kernel.money import Money


class TaxClass(StrEnum):
    """What kind of goods an article is to the tax office; rates belong to checkout."""

    STANDARD = "standard"
    REDUCED = "reduced"
    ZERO = "zero"


@dataclass(frozen=True, slots=True)
class Offer:
    """One article as it can be bought now: its price in the asked currency and the units available."""

    sku: str
    name: str
    image_url: str
    category: str
    tax_class: str
    price: Money
    available: int


@dataclass(frozen=True, slots=True)
class ProductFilter:
    """What part of the shop window is wanted; an empty `search` or `category` lets everything through."""

    currency: str
    search: str = ""
    category: str = ""


@dataclass(frozen=True, slots=True)
class ProductView:
    """One article as the shop window shows it. `id` is its place in the list."""

    id: UUID
    sku: str
    name: str
    description: str
    image_url: str
    category: str
    price: Money
    available: int


@dataclass(frozen=True, slots=True)
class ListedArticle:
    """One article as a product file lists it: prices in minor units by currency, `on_hand` None when not said."""

    sku: str
    name: str
    tax_class: TaxClass
    image_url: str
    prices: Mapping[str, int]
    on_hand: int | None


@dataclass(frozen=True, slots=True)
class ListedProduct:
    """One product as a product file lists it, with those of its articles that were not refused."""

    handle: str
    title: str
    description: str
    category: str
    image_url: str
    published: bool
    articles: tuple[ListedArticle, ...]


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row of a product file that was left out. `line` is where it begins, the header being line 1."""

    line: int
    sku: str
    reason: str


@dataclass(frozen=True, slots=True)
class ProductFile:
    """A product file, read. `currencies` are those in which it states prices."""

    products: tuple[ListedProduct, ...]
    refused: tuple[RefusedRow, ...]
    currencies: frozenset[str]


@dataclass(frozen=True, slots=True)
class Stored:
    """What storing some products has changed, counted in articles.

    `stocked` articles got the file's stock; `below_held` names those that did not, because shoppers hold more.
    """

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    stocked: int = 0
    below_held: tuple[str, ...] = ()

    def __add__(self, other: "Stored") -> "Stored":
        return Stored(
            new=self.new + other.new,
            changed=self.changed + other.changed,
            unchanged=self.unchanged + other.unchanged,
            stocked=self.stocked + other.stocked,
            below_held=self.below_held + other.below_held,
        )
