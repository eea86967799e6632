"""Shipping and tax from tables of this database: what settings name unless a shop plugs in its own."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from functools import cache
from typing import Any

from django.conf import settings
from django.db import connection
from django.utils.module_loading import import_string

from checkout.dto import Parcel, ShippingOption
from checkout.models import ShippingMethod
from checkout.ports import ShippingRates, TaxRates
from shop.kernel.money import Money

_CHARGE = """
SELECT CASE WHEN %(goods)s::bigint >= free_above_minor THEN 0 ELSE price_minor END
FROM checkout_shipping_method
WHERE country = %(country)s::text AND currency = %(currency)s::text AND code = %(method)s::text
"""

_RATES = """
SELECT DISTINCT ON (tax_class) tax_class, rate_ppm
FROM checkout_tax_rate
WHERE country = %s::text AND tax_class = ANY(%s::text[]) AND valid_from <= %s::date
ORDER BY tax_class, valid_from DESC
"""


class ShippingTable:
    """A fixed price for each country and method, and nothing above a threshold."""

    def options(self, *, country: str, currency: str) -> Sequence[ShippingOption]:
        """Return the country's rows."""
        methods = ShippingMethod.objects.filter(country=country, currency=currency).order_by("price_minor", "code")
        return [
            ShippingOption(
                code=method.code,
                name=method.name,
                price=Money(method.price_minor, currency),
                free_above=None if method.free_above_minor is None else Money(method.free_above_minor, currency),
                estimated_days=method.estimated_days,
            )
            for method in methods
        ]

    def charge(self, *, method: str, parcel: Parcel) -> Money | None:
        """Return the row's price, or nothing to pay for goods worth its threshold."""
        with connection.cursor() as cursor:
            cursor.execute(
                _CHARGE,
                {
                    "country": parcel.country,
                    "currency": parcel.goods.currency,
                    "method": method,
                    "goods": parcel.goods.amount,
                },
            )
            row = cursor.fetchone()
        return None if row is None else Money(row[0], parcel.goods.currency)


class TaxTable:
    """The newest rate that is valid on the day."""

    def rates(self, *, country: str, tax_classes: Collection[str], on: date) -> Mapping[str, int]:
        """Return the country's rates."""
        with connection.cursor() as cursor:
            cursor.execute(_RATES, [country, list(tax_classes), on])
            return dict(cursor.fetchall())


def shipping_rates() -> ShippingRates:
    """Return what settings name."""
    rates: ShippingRates = _plugged_in(settings.SHIPPING_RATES)
    return rates


def tax_rates() -> TaxRates:
    """Return what settings name."""
    rates: TaxRates = _plugged_in(settings.TAX_RATES)
    return rates


@cache
def _plugged_in(path: str) -> Any:
    return import_string(path)()
