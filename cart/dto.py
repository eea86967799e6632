"""Shapes the cart hands to others."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from shop.inventory.dto import Wanted
from shop.kernel.money import Money


@dataclass(frozen=True, slots=True)
class CartContents:
    """What a cart holds at one version. Nothing is locked: whoever acts on it later names the version."""

    cart_id: UUID
    version: int
    currency: str
    lines: tuple[Wanted, ...]


@dataclass(frozen=True, slots=True)
class CartLineView:
    """One line at today's price; an article that can no longer be bought keeps the price last seen."""

    sku: str
    name: str
    image_url: str
    quantity: int
    unit_price: Money
    line_total: Money
    available: int


class Warned(StrEnum):
    """What a shopper should know of a line before going on."""

    INSUFFICIENT_STOCK = "insufficient_stock"
    PRICE_CHANGED = "price_changed"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class CartWarning:
    """One such thing about one line."""

    code: Warned
    sku: str
    detail: str


@dataclass(frozen=True, slots=True)
class CartView:
    """A cart as its shopper sees it."""

    cart_id: UUID
    user_id: UUID
    currency: str
    version: int
    lines: tuple[CartLineView, ...]
    item_count: int
    subtotal: Money
    warnings: tuple[CartWarning, ...]
