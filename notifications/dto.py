"""Shapes of notifications."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from orders.dto import MailOrder
from shop.kernel.money import Money


class Template(StrEnum):
    """What a mail is about; each has a file of this name in every language's folder."""

    ORDER_CONFIRMATION = "order_confirmation"
    PAYMENT_RECEIPT = "payment_receipt"
    PAYMENT_FAILED = "payment_failed"
    PAYMENT_EXPIRED = "payment_expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A fact somebody is to be told of: which event, about which order and how much money."""

    event_id: UUID
    template: Template
    order_id: UUID
    user_id: UUID
    guest: bool
    amount: Money
    occurred_at: datetime
    failure_code: str = ""


class Standing(StrEnum):
    """What a letter says of the order's money, true at the moment it is written."""

    WAITING = "waiting"
    OVERDUE = "overdue"
    PAID = "paid"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Occasion:
    """All a letter says, in no language yet."""

    template: Template
    amount: Money
    occurred_at: datetime
    failure_code: str
    order: MailOrder
    standing: Standing


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail in words: both parts tell the same."""

    subject: str
    text: str
    html: str


class Delivery(StrEnum):
    """What came of trying to send a mail."""

    SENT = "sent"
    NOT_DUE = "not_due"
    POSTPONED = "postponed"
    SERVER_AWAY = "server_away"
    UNCONFIRMED = "unconfirmed"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many mails are not sent, by state, and for how many seconds the oldest pending one has waited."""

    by_state: dict[str, int]
    oldest_pending_seconds: float
