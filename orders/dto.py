"""Shapes orders hands to others."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from shop.kernel.money import Money
from shop.kernel.priced import PricedLine, Totals


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One thing that happened to an order. `detail` never holds a person's data."""

    at: datetime
    type: str
    detail: str


@dataclass(frozen=True, slots=True)
class OrderView:
    """An order as its shopper, the staff and the house's own systems read it. `timeline` is None in lists."""

    order_id: UUID
    number: str
    user_id: UUID
    guest: bool
    status: str
    payment_status: str
    needs_review: bool
    lines: tuple[PricedLine, ...]
    totals: Totals
    captured: Money
    refunded: Money
    email: str
    language: str
    shipping_address: dict[str, str]
    billing_address: dict[str, str]
    shipping_method: str
    payment_deadline: datetime
    tracking: str
    created_at: datetime
    updated_at: datetime
    timeline: tuple[TimelineEntry, ...] | None


@dataclass(frozen=True, slots=True)
class Placed:
    """The one order of a checkout, and whether this call made it."""

    order: OrderView
    created: bool


class Expiry(StrEnum):
    """What came of asking an order to expire."""

    EXPIRED = "expired"
    NOT_DUE = "not_due"
    ALREADY_CLOSED = "already_closed"


class RefundTold(StrEnum):
    """What the gateway says became of money on its way back."""

    SUCCEEDED = "succeeded"
    REJECTED = "rejected"
    REVERSED = "reversed"


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundNews:
    """One piece of news about a refund. `why` is a word of payments', never a person's."""

    event_id: UUID
    refund_id: UUID
    payment_id: UUID
    amount: Money
    told: RefundTold
    why: str


class MoneyTaken(StrEnum):
    """What came of money that arrived for an order."""

    PAID = "paid"
    REVIVED = "revived"
    PART_PAID = "part_paid"
    REFUND_DUE = "refund_due"
    SET_ASIDE = "set_aside"
    ALREADY_COUNTED = "already_counted"


@dataclass(frozen=True, slots=True)
class PayableOrder:
    """What payments must know of an order to ask for its money."""

    order_id: UUID
    number: str
    user_id: UUID
    guest: bool
    status: str
    total: Money
    payment_deadline: datetime


@dataclass(frozen=True, slots=True)
class MailLine:
    """One line as a mail shows it."""

    name: str
    quantity: int
    unit_price: Money
    line_total: Money


@dataclass(frozen=True, slots=True)
class MailOrder:
    """What a mail says about an order; the only shape that carries a person's data out of orders."""

    order_id: UUID
    number: str
    email: str
    language: str
    lines: tuple[MailLine, ...]
    subtotal: Money
    discount: Money
    shipping: Money
    tax: Money
    total: Money
    captured: Money
    shipping_address: dict[str, str]
    payment_deadline: datetime
    tracking: str
    created_at: datetime
