"""Shapes the checkout hands to others: the frozen, priced offer."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from shop.kernel.money import Money
from shop.kernel.priced import PricedLine, Totals

# Every price of this shop contains its tax; a shop that adds tax on top would make this a column of the checkout.
PRICES_INCLUDE_TAX = True


@dataclass(frozen=True, slots=True)
class FrozenCheckout:
    """Everything an order takes over, exactly as the shopper saw it."""

    checkout_id: UUID
    user_id: UUID
    guest: bool
    cart_id: UUID
    cart_version: int
    lines: tuple[PricedLine, ...]
    totals: Totals
    prices_include_tax: bool
    email: str
    language: str
    shipping_address: dict[str, str]
    billing_address: dict[str, str]
    shipping_method: str
    quote_hash: str


@dataclass(frozen=True, slots=True)
class CheckoutRequest:
    """What a shopper asks an offer for.

    Addresses hold `name`, `line1`, `city`, `postal_code` and `country`; `line2` and `region` if they were given.
    """

    email: str
    language: str
    shipping_address: dict[str, str]
    billing_address: dict[str, str]
    shipping_method: str


@dataclass(frozen=True, slots=True)
class CheckoutView:
    """An offer and where it stands."""

    status: str
    expires_at: datetime
    offer: FrozenCheckout


@dataclass(frozen=True, slots=True)
class Parcel:
    """What a shipping price may depend on."""

    country: str
    postal_code: str
    goods: Money
    units: int


@dataclass(frozen=True, slots=True)
class ShippingOption:
    """One way of sending goods to a country; `free_above` is the goods' value from which it costs nothing."""

    code: str
    name: str
    price: Money
    free_above: Money | None
    estimated_days: str
