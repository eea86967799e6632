"""Changes to a cart. Each costs four statements, with one line and with a hundred: read, offers, write, outbox.

Nothing is locked while the change is worked out. The write names the version it was worked out from; when
another request was faster, the row is locked and the change is worked out once more, this time for certain.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from django.db import connection

from cart.dto import CartView
from cart.errors import CartChanged, CartFull, LineExceedsStock, QuantityLimit
from cart.models import MOST_LINES, MOST_UNITS
from cart.queries import StoredCart, StoredLine, offers_for, shown, stored_cart
from shop.catalog.dto import Offer
from shop.inventory.errors import UnknownSku
from shop.kernel.auth.dto import Caller
from shop.kernel.events import UserAction
from shop.kernel.outbox.services import publish
from shop.kernel.transactions import joins_unit_of_work, unit_of_work

# Works out the new quantities of the lines it changes (0 removes) from the cart and the catalogue's offers.
Change = Callable[[StoredCart, Mapping[str, Offer]], dict[str, int]]

_LOCK = "SELECT FROM cart_cart WHERE id = %s::uuid FOR UPDATE"

# `moved` is empty when the cart is no longer at the version the change was worked out from; then nothing is written.
_WRITE = """
WITH moved AS (
    INSERT INTO cart_cart AS cart (id, currency, version, updated_at)
    VALUES (%(cart_id)s::uuid, %(currency)s::text, %(version)s::int + 1, %(now)s::timestamptz)
    ON CONFLICT (id) DO UPDATE
    SET currency = EXCLUDED.currency, version = EXCLUDED.version, updated_at = EXCLUDED.updated_at
    WHERE cart.version = EXCLUDED.version - 1
    RETURNING id
), put AS (
    INSERT INTO cart_line AS line (cart_id, sku, name, quantity, unit_price_seen, added_at)
    SELECT moved.id, given.*, %(now)s::timestamptz
    FROM moved, unnest(%(skus)s::text[], %(names)s::text[], %(quantities)s::smallint[], %(prices)s::bigint[]) AS given
    ON CONFLICT (cart_id, sku) DO UPDATE
    SET name = EXCLUDED.name, quantity = EXCLUDED.quantity, unit_price_seen = EXCLUDED.unit_price_seen
), gone AS (
    DELETE FROM cart_line AS line USING moved
    WHERE line.cart_id = moved.id AND line.sku = ANY(%(removed)s::text[])
)
SELECT id FROM moved
"""

# The update's row count is the verdict; the lines of this version can be no others than the snapshot's.
_EMPTY = """
WITH emptied AS (
    UPDATE cart_cart SET version = version + 1, updated_at = %(now)s::timestamptz
    WHERE id = %(cart_id)s::uuid AND version = %(version)s::int
    RETURNING id
), gone AS (
    DELETE FROM cart_line AS line USING emptied WHERE line.cart_id = emptied.id
)
SELECT id FROM emptied
"""


@dataclass(frozen=True, slots=True)
class _Written:
    """What a change came to: the lines it put and the lines it took away."""

    put: tuple[StoredLine, ...]
    removed: tuple[StoredLine, ...]

    def __bool__(self) -> bool:
        return bool(self.put or self.removed)


@unit_of_work
def add_item(*, caller: Caller, sku: str, quantity: int, if_version: int | None, now: datetime) -> CartView:
    """Add units of an article to the caller's cart, on top of those already in it, and return the cart.

    Raises UnknownSku, LineExceedsStock, QuantityLimit, CartFull; CartChanged when `if_version` is not the cart's.
    """

    def change(cart: StoredCart, offers: Mapping[str, Offer]) -> dict[str, int]:
        present = cart.lines[sku].quantity if sku in cart.lines else 0
        return {sku: _checked(cart, offers, sku=sku, quantity=present + quantity)}

    return _change(caller=caller, change=change, sku=sku, if_version=if_version, now=now)


@unit_of_work
def set_quantity(*, caller: Caller, sku: str, quantity: int, if_version: int | None, now: datetime) -> CartView:
    """Set the units of an article, whether it is in the cart yet or not, and return the cart; 0 removes the line.

    Raises what `add_item` raises.
    """

    def change(cart: StoredCart, offers: Mapping[str, Offer]) -> dict[str, int]:
        return {sku: _checked(cart, offers, sku=sku, quantity=quantity) if quantity else 0}

    return _change(caller=caller, change=change, sku=sku, if_version=if_version, now=now)


@unit_of_work
def remove_item(*, caller: Caller, sku: str, if_version: int | None, now: datetime) -> CartView:
    """Remove an article's line, or nothing when there is none, and return the cart."""
    return _change(caller=caller, change=lambda _cart, _offers: {sku: 0}, sku=None, if_version=if_version, now=now)


@unit_of_work
def clear(*, caller: Caller, if_version: int | None, now: datetime) -> CartView:
    """Remove every line and return the empty cart."""
    return _change(
        caller=caller,
        change=lambda cart, _offers: dict.fromkeys(cart.lines, 0),
        sku=None,
        if_version=if_version,
        now=now,
    )


@joins_unit_of_work
def empty_if_unchanged(*, cart_id: UUID, version: int, now: datetime) -> bool:
    """Empty the cart if it still is at this version, in one statement; say whether it was."""
    with connection.cursor() as cursor:
        cursor.execute(_EMPTY, {"cart_id": cart_id, "version": version, "now": now})
        return cursor.fetchone() is not None


def _change(*, caller: Caller, change: Change, sku: str | None, if_version: int | None, now: datetime) -> CartView:
    while (view := _attempt(caller=caller, change=change, sku=sku, if_version=if_version, now=now)) is None:
        # Another request changed the cart meanwhile. Under the lock the next attempt is the last.
        with connection.cursor() as cursor:
            cursor.execute(_LOCK, [caller.id])
    return view


def _attempt(
    *, caller: Caller, change: Change, sku: str | None, if_version: int | None, now: datetime
) -> CartView | None:
    """Work the change out and write it; None when the cart has moved on since it was read."""
    cart = stored_cart(user_id=caller.id)
    if if_version is not None and if_version != cart.version:
        raise CartChanged(version=cart.version)
    offers = offers_for(cart=cart, sku=sku)
    written = _differences(cart, offers, change(cart, offers), now=now)
    if not written:
        return shown(cart=cart, offers=offers)
    if not _write(cart, written, now=now):
        return None
    for action in _actions(caller, cart, written, now=now):
        publish(action)
    gone = {line.sku for line in written.removed}
    lines = {held: line for held, line in cart.lines.items() if held not in gone}
    lines |= {line.sku: line for line in written.put}
    return shown(cart=replace(cart, version=cart.version + 1, lines=lines), offers=offers)


def _checked(cart: StoredCart, offers: Mapping[str, Offer], *, sku: str, quantity: int) -> int:
    """Return the quantity the line may have, or refuse it."""
    offer = offers.get(sku)
    if offer is None:
        raise UnknownSku(sku=sku)
    if quantity > MOST_UNITS:
        raise QuantityLimit(sku=sku, wanted=quantity, limit=MOST_UNITS)
    if quantity > offer.available:
        raise LineExceedsStock(sku=sku, wanted=quantity, available=offer.available)
    if sku not in cart.lines and len(cart.lines) >= MOST_LINES:
        raise CartFull(limit=MOST_LINES)
    return quantity


def _differences(
    cart: StoredCart, offers: Mapping[str, Offer], quantities: dict[str, int], *, now: datetime
) -> _Written:
    """Return the lines that will not be what they are: other units, or a price the shopper sees for the first time."""
    put = []
    for sku, quantity in quantities.items():
        if not quantity:
            continue
        offer, line = offers[sku], cart.lines.get(sku)
        new = StoredLine(sku, offer.name, quantity, offer.price, line.added_at if line else now)
        if line is None or (line.quantity, line.price_seen) != (new.quantity, new.price_seen):
            put.append(new)
    removed = (cart.lines[sku] for sku, quantity in quantities.items() if not quantity and sku in cart.lines)
    return _Written(put=tuple(put), removed=tuple(removed))


def _write(cart: StoredCart, written: _Written, *, now: datetime) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            _WRITE,
            {
                "cart_id": cart.user_id,
                "currency": cart.currency,
                "version": cart.version,
                "now": now,
                "skus": [line.sku for line in written.put],
                "names": [line.name for line in written.put],
                "quantities": [line.quantity for line in written.put],
                "prices": [line.price_seen.amount for line in written.put],
                "removed": [line.sku for line in written.removed],
            },
        )
        return cursor.fetchone() is not None


def _actions(caller: Caller, cart: StoredCart, written: _Written, *, now: datetime) -> list[UserAction]:
    """Return the change as analytics tell it: units added to and removed from the cart."""
    moves = [
        (line, line.quantity - (cart.lines[line.sku].quantity if line.sku in cart.lines else 0)) for line in written.put
    ]
    moves += [(line, -line.quantity) for line in written.removed]
    return [
        UserAction(
            occurred_at=now,
            user_id=caller.id,
            guest=caller.guest,
            name="Product Added" if units > 0 else "Product Removed",
            properties={
                "cart_id": str(cart.user_id),
                "sku": line.sku,
                "quantity": abs(units),
                "price": line.price_seen.amount,
                "currency": cart.currency,
            },
        )
        for line, units in moves
        if units
    ]
