"""What goods cost, line by line and in all: frozen by checkout, kept by orders, repeated in mails."""

from dataclasses import dataclass

from shop.kernel.money import Money


@dataclass(frozen=True, slots=True)
class PricedLine:
    """One priced line. `line_total` = unit price x quantity - discount, tax included."""

    sku: str
    name: str
    quantity: int
    unit_price: Money
    discount: Money
    tax: Money
    line_total: Money


@dataclass(frozen=True, slots=True)
class Totals:
    """The sums of all lines. With prices that include tax: total = subtotal - discount + shipping."""

    subtotal: Money
    discount: Money
    shipping: Money
    tax: Money
    total: Money
