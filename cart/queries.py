"""Reads. Looking at a cart costs two statements, its rows and the catalogue's offers, and writes nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.db import connection

from cart.dto import CartContents, CartLineView, CartView, CartWarning, Warned
from shop.catalog import queries as catalog
from shop.catalog.dto import Offer
from shop.inventory.dto import Wanted
from shop.kernel.money import Money, total

# One snapshot: the version and the lines belong together even while another request changes both.
_STORED = """
SELECT cart.currency, cart.version, line.sku, line.name, line.quantity, line.unit_price_seen, line.added_at
FROM cart_cart AS cart LEFT JOIN cart_line AS line ON line.cart_id = cart.id
WHERE cart.id = %s::uuid
ORDER BY line.added_at, line.sku
"""


@dataclass(frozen=True, slots=True)
class StoredLine:
    """A row of `cart_line`."""

    sku: str
    name: str
    quantity: int
    price_seen: Money
    added_at: datetime


@dataclass(frozen=True, slots=True)
class StoredCart:
    """A cart's rows, lines in the order they were added; version 0 stands for a cart without a row."""

    user_id: UUID
    currency: str
    version: int
    lines: Mapping[str, StoredLine]


def cart_of(*, user_id: UUID) -> CartView:
    """Return the shopper's cart at today's prices; an empty one for a shopper who never filled any."""
    cart = stored_cart(user_id=user_id)
    return shown(cart=cart, offers=offers_for(cart=cart))


def contents_for_checkout(*, user_id: UUID) -> CartContents | None:
    """Return what the cart holds, in one statement and without a lock; None for a cart without a row."""
    cart = stored_cart(user_id=user_id)
    if not cart.version:
        return None
    lines = tuple(Wanted(sku=line.sku, quantity=line.quantity) for line in cart.lines.values())
    return CartContents(cart_id=user_id, version=cart.version, currency=cart.currency, lines=lines)


def stored_cart(*, user_id: UUID) -> StoredCart:
    """Return the cart's rows as they were at one instant."""
    with connection.cursor() as cursor:
        cursor.execute(_STORED, [user_id])
        rows = cursor.fetchall()
    if not rows:
        return StoredCart(user_id=user_id, currency=settings.DEFAULT_CURRENCY, version=0, lines={})
    currency, version = rows[0][0], rows[0][1]
    lines = {
        sku: StoredLine(sku, name, quantity, Money(price, currency), added_at)
        for _, _, sku, name, quantity, price, added_at in rows
        if sku is not None
    }
    # A cart with nothing in it follows the shop to another currency.
    return StoredCart(user_id, currency if lines else settings.DEFAULT_CURRENCY, version, lines)


def offers_for(*, cart: StoredCart, sku: str | None = None) -> dict[str, Offer]:
    """Return today's offers for what is in the cart, and for one article more; no statement for nothing.

    What the shopper's own open checkout has reserved is available to the shopper.
    """
    skus = [*cart.lines] if sku is None or sku in cart.lines else [*cart.lines, sku]
    return catalog.offers(skus=skus, currency=cart.currency, holder=cart.user_id) if skus else {}


def shown(*, cart: StoredCart, offers: Mapping[str, Offer]) -> CartView:
    """Put the cart's rows and the catalogue's offers together; no statement."""
    lines = tuple(_line(line, offers.get(line.sku)) for line in cart.lines.values())
    warnings = (_warnings(line, offers.get(line.sku)) for line in cart.lines.values())
    return CartView(
        cart_id=cart.user_id,
        user_id=cart.user_id,
        currency=cart.currency,
        version=cart.version,
        lines=lines,
        item_count=sum(line.quantity for line in lines),
        subtotal=total((line.line_total for line in lines), currency=cart.currency),
        warnings=tuple(warning for of_line in warnings for warning in of_line),
    )


def _line(line: StoredLine, offer: Offer | None) -> CartLineView:
    price = offer.price if offer else line.price_seen
    return CartLineView(
        sku=line.sku,
        name=offer.name if offer else line.name,
        image_url=offer.image_url if offer else "",
        quantity=line.quantity,
        unit_price=price,
        line_total=price * line.quantity,
        available=offer.available if offer else 0,
    )


def _warnings(line: StoredLine, offer: Offer | None) -> list[CartWarning]:
    if offer is None:
        return [CartWarning(Warned.UNAVAILABLE, line.sku, f"{line.name} is no longer for sale.")]
    found = []
    if offer.available < line.quantity:
        detail = f"{line.quantity} units are wanted and {offer.available} are available."
        found.append(CartWarning(Warned.INSUFFICIENT_STOCK, line.sku, detail))
    if offer.price != line.price_seen:
        detail = f"The price was {line.price_seen} and is {offer.price} now."
        found.append(CartWarning(Warned.PRICE_CHANGED, line.sku, detail))
    return found
