"""Starting a checkout. Seven statements, with one line and with a hundred.

Cart, offers, shipping and tax are read without locks; then the shopper's checkouts are locked, then stock.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings
from django.db import connection
from psycopg.types.json import Jsonb

from cart import queries as cart
from cart.dto import CartContents
from checkout.dto import PRICES_INCLUDE_TAX, CheckoutRequest, CheckoutView, FrozenCheckout, Parcel
from checkout.errors import CartEmpty, ShippingUnavailable
from checkout.rates import shipping_rates, tax_rates
from checkout.services.pricing import (
    STANDARD_CLASS,
    Item,
    goods_value,
    priced_lines,
    quote_hash,
    totals_of,
)
from checkout.states import Status
from shop.catalog import queries as catalog
from shop.inventory import services as inventory
from shop.inventory.errors import InsufficientStock
from shop.kernel.auth.dto import Caller
from shop.kernel.events import UserAction
from shop.kernel.ids import new_id
from shop.kernel.money import Money
from shop.kernel.outbox.services import publish
from shop.kernel.transactions import unit_of_work

log = structlog.get_logger(__name__)

# Close the shopper's open checkout and open the new one; the count makes the one happen before the other. `made` is
# empty when another request has opened one since this statement began: `replaced` could not see it then.
_OPEN = """
WITH replaced AS (
    UPDATE checkout_checkout
    SET status = CASE WHEN expires_at <= %(created_at)s::timestamptz THEN 'expired' ELSE 'released' END
    WHERE user_id = %(user_id)s::uuid AND status = 'open'
    RETURNING id
), made AS (
    INSERT INTO checkout_checkout (
        id, user_id, guest, cart_id, cart_version, status, currency,
        subtotal_minor, discount_minor, shipping_minor, tax_minor, total_minor,
        email, language, shipping_address, billing_address, shipping_method, quote_hash, expires_at, created_at
    )
    SELECT %(id)s::uuid, %(user_id)s::uuid, %(guest)s::bool, %(cart_id)s::uuid, %(cart_version)s::int, 'open',
           %(currency)s::text, %(subtotal)s::bigint, %(discount)s::bigint, %(shipping)s::bigint, %(tax)s::bigint,
           %(total)s::bigint, %(email)s::text, %(language)s::text, %(shipping_address)s::jsonb,
           %(billing_address)s::jsonb, %(shipping_method)s::text, %(quote_hash)s::text,
           %(expires_at)s::timestamptz, %(created_at)s::timestamptz
    FROM (SELECT count(*) FROM replaced) AS closed_before
    ON CONFLICT (user_id) WHERE status = 'open' DO NOTHING
    RETURNING id
), lines AS (
    INSERT INTO checkout_line (checkout_id, sku, name, quantity, unit_price_minor, discount_minor, tax_minor,
                               line_total_minor, position)
    SELECT made.id, line.*
    FROM made, unnest(%(skus)s::text[], %(names)s::text[], %(quantities)s::int[], %(unit_prices)s::bigint[],
                      %(discounts)s::bigint[], %(taxes)s::bigint[], %(line_totals)s::bigint[])
               WITH ORDINALITY AS line
)
SELECT (SELECT id FROM replaced) FROM made
"""


@unit_of_work
def start(*, caller: Caller, request: CheckoutRequest, now: datetime) -> CheckoutView:
    """Price the caller's cart, hold its stock and return the open checkout; one that was open is released.

    Raises CartEmpty, ShippingUnavailable, and inventory's InsufficientStock for lines that cannot be had in full;
    an article that is no longer for sale counts as one of which nothing is available.
    """
    contents = cart.contents_for_checkout(user_id=caller.id)
    if contents is None or not contents.lines:
        raise CartEmpty
    offer = _frozen(caller, contents, request, now=now)
    expires_at = now + timedelta(seconds=settings.CHECKOUT_LIFETIME_SECONDS)
    replaced = _open(offer, expires_at=expires_at, now=now)
    inventory.reserve(
        reservation_id=offer.checkout_id,
        holder=caller.id,
        lines=contents.lines,
        expires_at=expires_at,
        replaces=replaced,
    )
    publish(_started(caller, offer, now=now))
    log.info("checkout.started", checkout_id=str(offer.checkout_id), replaced=str(replaced) if replaced else None)
    return CheckoutView(status=Status.OPEN, expires_at=expires_at, offer=offer)


def _frozen(caller: Caller, contents: CartContents, request: CheckoutRequest, *, now: datetime) -> FrozenCheckout:
    items = _items(contents)
    shipping = _shipping(items, request, currency=contents.currency)
    rates_ppm = _rates(items, request, now=now)
    lines = priced_lines(items, rates_ppm=rates_ppm)
    totals = totals_of(lines, shipping=shipping, rates_ppm=rates_ppm)
    return FrozenCheckout(
        checkout_id=new_id(),
        user_id=caller.id,
        guest=caller.guest,
        cart_id=contents.cart_id,
        cart_version=contents.version,
        lines=lines,
        totals=totals,
        prices_include_tax=PRICES_INCLUDE_TAX,
        email=request.email,
        language=request.language,
        shipping_address=request.shipping_address,
        billing_address=request.billing_address,
        shipping_method=request.shipping_method,
        quote_hash=quote_hash(
            lines=lines,
            totals=totals,
            shipping_method=request.shipping_method,
            shipping_address=request.shipping_address,
            billing_address=request.billing_address,
        ),
    )


def _items(contents: CartContents) -> list[Item]:
    offers = catalog.offers(skus=[line.sku for line in contents.lines], currency=contents.currency)
    gone = [line for line in contents.lines if line.sku not in offers]
    if gone:
        raise InsufficientStock(lines=[{"sku": line.sku, "wanted": line.quantity, "available": 0} for line in gone])
    return [Item(offer=offers[line.sku], quantity=line.quantity) for line in contents.lines]


def _shipping(items: Sequence[Item], request: CheckoutRequest, *, currency: str) -> Money:
    parcel = Parcel(
        country=request.shipping_address["country"],
        postal_code=request.shipping_address["postal_code"],
        goods=goods_value(items, currency=currency),
        units=sum(item.quantity for item in items),
    )
    charge = shipping_rates().charge(method=request.shipping_method, parcel=parcel)
    if charge is None:
        raise ShippingUnavailable(country=parcel.country, method=request.shipping_method)
    return charge


def _rates(items: Sequence[Item], request: CheckoutRequest, *, now: datetime) -> Mapping[str, int]:
    country = request.shipping_address["country"]
    classes = {STANDARD_CLASS, *(item.offer.tax_class for item in items)}
    rates_ppm = tax_rates().rates(country=country, tax_classes=classes, on=now.date())
    if STANDARD_CLASS not in rates_ppm:
        # Selling without knowing the tax would be guessing with somebody else's money.
        log.error("checkout.tax_rate_missing", country=country)
        raise ShippingUnavailable(country=country, method=request.shipping_method)
    return rates_ppm


def _open(offer: FrozenCheckout, *, expires_at: datetime, now: datetime) -> UUID | None:
    """Write the checkout and return the id of the one it replaces, if any."""
    totals, lines = offer.totals, offer.lines
    values: dict[str, Any] = {
        "id": offer.checkout_id,
        "user_id": offer.user_id,
        "guest": offer.guest,
        "cart_id": offer.cart_id,
        "cart_version": offer.cart_version,
        "currency": totals.total.currency,
        "subtotal": totals.subtotal.amount,
        "discount": totals.discount.amount,
        "shipping": totals.shipping.amount,
        "tax": totals.tax.amount,
        "total": totals.total.amount,
        "email": offer.email,
        "language": offer.language,
        "shipping_address": Jsonb(offer.shipping_address),
        "billing_address": Jsonb(offer.billing_address),
        "shipping_method": offer.shipping_method,
        "quote_hash": offer.quote_hash,
        "expires_at": expires_at,
        "created_at": now,
        "skus": [line.sku for line in lines],
        "names": [line.name for line in lines],
        "quantities": [line.quantity for line in lines],
        "unit_prices": [line.unit_price.amount for line in lines],
        "discounts": [line.discount.amount for line in lines],
        "taxes": [line.tax.amount for line in lines],
        "line_totals": [line.line_total.amount for line in lines],
    }
    with connection.cursor() as cursor:
        opened = None
        while opened is None:
            # Each repetition sees, and replaces, what a faster request has just opened.
            cursor.execute(_OPEN, values)
            opened = cursor.fetchone()
    replaced: UUID | None = opened[0]
    return replaced


def _started(caller: Caller, offer: FrozenCheckout, *, now: datetime) -> UserAction:
    return UserAction(
        occurred_at=now,
        user_id=caller.id,
        guest=caller.guest,
        name="Checkout Started",
        properties={
            "checkout_id": str(offer.checkout_id),
            "cart_id": str(offer.cart_id),
            "item_count": sum(line.quantity for line in offer.lines),
            "value": offer.totals.total.amount,
            "currency": offer.totals.total.currency,
            "shipping_method": offer.shipping_method,
        },
    )
