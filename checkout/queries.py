"""Reads. A checkout and its lines come in one statement."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection

from checkout.dto import PRICES_INCLUDE_TAX, CheckoutView, FrozenCheckout, ShippingOption
from checkout.models import Checkout
from checkout.rates import shipping_rates
from checkout.states import Status
from shop.kernel.money import Money
from shop.kernel.priced import PricedLine, Totals

# What `view_of` reads, from anything named `checkout` that has the table's columns.
COLUMNS = """
    checkout.status, checkout.expires_at, checkout.currency, checkout.id, checkout.user_id, checkout.guest,
    checkout.cart_id, checkout.cart_version, checkout.email, checkout.language, checkout.shipping_address::json,
    checkout.billing_address::json, checkout.shipping_method, checkout.quote_hash, checkout.subtotal_minor,
    checkout.discount_minor, checkout.shipping_minor, checkout.tax_minor, checkout.total_minor,
    (
        SELECT json_agg(json_build_array(sku, name, quantity, unit_price_minor, discount_minor, tax_minor,
                                         line_total_minor) ORDER BY position)
        FROM checkout_line WHERE checkout_id = checkout.id
    )
"""

# The status is written out, because the index holds open checkouts only.
_DUE = """
SELECT id FROM checkout_checkout WHERE status = 'open' AND expires_at <= %s ORDER BY expires_at LIMIT %s
"""


def checkout(*, checkout_id: UUID, now: datetime) -> CheckoutView | None:
    """Return the checkout; an open one whose time is over is shown as expired, whatever the clock has seen of it."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {COLUMNS} FROM checkout_checkout AS checkout WHERE id = %s::uuid",  # noqa: S608  constant text
            [checkout_id],
        )
        row = cursor.fetchone()
    return None if row is None else view_of(row, now=now)


def status_of(*, checkout_id: UUID, user_id: UUID) -> str | None:
    """Return the stored status of this shopper's checkout; None when it is not theirs."""
    return Checkout.objects.filter(id=checkout_id, user_id=user_id).values_list("status", flat=True).first()


def due(*, now: datetime, limit: int) -> list[UUID]:
    """Return open checkouts whose time is over, oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(_DUE, [now, limit])
        return [checkout_id for (checkout_id,) in cursor.fetchall()]


def total_of_quote(*, user_id: UUID, quote_hash: str) -> Money | None:
    """Return the total of the offer a shopper was once shown under this hash; None when there was none."""
    shown = Checkout.objects.filter(user_id=user_id, quote_hash=quote_hash).values_list("total_minor", "currency")
    found = shown.first()
    return None if found is None else Money(*found)


def shipping_options(*, country: str) -> Sequence[ShippingOption]:
    """Return the ways of sending goods to a country, cheapest first."""
    return shipping_rates().options(country=country, currency=settings.DEFAULT_CURRENCY)


def view_of(row: Sequence[Any], *, now: datetime | None = None) -> CheckoutView:
    """Put the values of `COLUMNS` in shape."""
    status, expires_at, currency = row[:3]
    sums, lines = row[14:19], row[19]
    if now is not None and status == Status.OPEN and expires_at <= now:
        status = Status.EXPIRED
    offer = FrozenCheckout(
        checkout_id=row[3],
        user_id=row[4],
        guest=row[5],
        cart_id=row[6],
        cart_version=row[7],
        lines=tuple(_line(line, currency) for line in lines),
        totals=Totals(*(Money(amount, currency) for amount in sums)),
        prices_include_tax=PRICES_INCLUDE_TAX,
        email=row[8],
        language=row[9],
        shipping_address=row[10],
        billing_address=row[11],
        shipping_method=row[12],
        quote_hash=row[13],
    )
    return CheckoutView(status=status, expires_at=expires_at, offer=offer)


def _line(values: Sequence[Any], currency: str) -> PricedLine:
    sku, name, quantity, *amounts = values
    return PricedLine(sku, name, quantity, *(Money(amount, currency) for amount in amounts))
