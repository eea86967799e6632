"""The arithmetic of an offer: pure, exact, the same for every currency. Prices include tax.

Tax is rounded once a line, half to even, and the sums are sums of what was rounded.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

import msgspec

from checkout.dto import PRICES_INCLUDE_TAX
from shop.catalog.dto import Offer, TaxClass
from shop.kernel.money import Money, total
from shop.kernel.priced import PricedLine, Totals

STANDARD_CLASS = TaxClass.STANDARD.value
_PPM = 1_000_000


@dataclass(frozen=True, slots=True)
class Item:
    """So many units of an article at today's price."""

    offer: Offer
    quantity: int


def tax_within(gross: Money, *, rate_ppm: int) -> Money:
    """Return the tax a price contains: at 19 %, 19/119 of it."""
    return gross.share(numerator=rate_ppm, denominator=_PPM + rate_ppm)


def goods_value(items: Sequence[Item], *, currency: str) -> Money:
    """Return what the goods cost, tax included, shipping not."""
    return total((item.offer.price * item.quantity for item in items), currency=currency)


def priced_lines(items: Sequence[Item], *, rates_ppm: Mapping[str, int]) -> tuple[PricedLine, ...]:
    """Freeze each item; an article whose tax class the country does not know is taxed as standard."""
    return tuple(_priced(item, rate_ppm=_rate(item.offer.tax_class, rates_ppm)) for item in items)


def totals_of(lines: Sequence[PricedLine], *, shipping: Money, rates_ppm: Mapping[str, int]) -> Totals:
    """Add up; shipping contains the country's standard tax."""
    currency = shipping.currency
    subtotal = total((line.unit_price * line.quantity for line in lines), currency=currency)
    discount = total((line.discount for line in lines), currency=currency)
    tax_of_goods = total((line.tax for line in lines), currency=currency)
    return Totals(
        subtotal=subtotal,
        discount=discount,
        shipping=shipping,
        tax=tax_of_goods + tax_within(shipping, rate_ppm=rates_ppm[STANDARD_CLASS]),
        total=subtotal - discount + shipping,
    )


def quote_hash(
    *,
    lines: Sequence[PricedLine],
    totals: Totals,
    shipping_method: str,
    shipping_address: Mapping[str, str],
    billing_address: Mapping[str, str],
) -> str:
    """Return the fingerprint of what the shopper agrees to: the same offer has the same one, today and tomorrow."""
    offer = {
        "lines": lines,
        "totals": totals,
        "prices_include_tax": PRICES_INCLUDE_TAX,
        "shipping_method": shipping_method,
        "shipping_address": shipping_address,
        "billing_address": billing_address,
    }
    return sha256(msgspec.json.encode(offer, order="deterministic")).hexdigest()


def _priced(item: Item, *, rate_ppm: int) -> PricedLine:
    discount = Money.zero(item.offer.price.currency)
    line_total = item.offer.price * item.quantity - discount
    return PricedLine(
        sku=item.offer.sku,
        name=item.offer.name,
        quantity=item.quantity,
        unit_price=item.offer.price,
        discount=discount,
        tax=tax_within(line_total, rate_ppm=rate_ppm),
        line_total=line_total,
    )


def _rate(tax_class: str, rates_ppm: Mapping[str, int]) -> int:
    return rates_ppm.get(tax_class, rates_ppm[STANDARD_CLASS])
