"""What a checkout needs from outside, as Protocols that settings fill in (`SHIPPING_RATES`, `TAX_RATES`).

Both are asked inside the checkout's transaction: an implementation reads tables or memory, never the network.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Protocol

from checkout.dto import Parcel, ShippingOption
from shop.kernel.money import Money


class ShippingRates(Protocol):
    """How goods can be sent, and what it costs."""

    def options(self, *, country: str, currency: str) -> Sequence[ShippingOption]:
        """Return the methods offered for a country, cheapest first; nothing for a country not delivered to."""

    def charge(self, *, method: str, parcel: Parcel) -> Money | None:
        """Return what sending this parcel costs, tax included; None when the method is not offered there."""


class TaxRates(Protocol):
    """How much of a price is tax."""

    def rates(self, *, country: str, tax_classes: Collection[str], on: date) -> Mapping[str, int]:
        """Return the rates in millionths by tax class; classes the country does not know are missing."""
