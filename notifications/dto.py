"""Shapes of notifications."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from orders.dto import MailOrder
from payments.dto import PaymentView
from shop.kernel.money import Money


class Template(StrEnum):
    """What a mail is about; each has a file of this name in every language's folder."""

    ORDER_CONFIRMATION = "order_confirmation"
    PAYMENT_RECEIPT = "payment_receipt"
    PAYMENT_FAILED = "payment_failed"
    PAYMENT_EXPIRED = "payment_expired"
    ORDER_CANCELLED = "order_cancelled"
    ORDER_FULFILLED = "order_fulfilled"
    REFUND_SENT = "refund_sent"
    REFUND_REVERSED = "refund_reversed"
    REFUND_REJECTED = "refund_rejected"


# These go to the shop's own people, at SUPPORT_EMAIL: the shopper has nothing to do about it.
FOR_STAFF = frozenset({Template.REFUND_REJECTED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A fact somebody is to be told of: which event, about which order, and how much money where not its total.

    `cause` is a word of orders or payments for why it happened, `payment_id` the payment it is about, if any.
    """

    event_id: UUID
    template: Template
    order_id: UUID
    user_id: UUID
    guest: bool
    occurred_at: datetime
    amount: Money | None = None
    failure_code: str = ""
    cause: str = ""
    payment_id: UUID | None = None


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
    cause: str
    order: MailOrder
    standing: Standing
    payment: PaymentView | None


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


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointView:
    """A merchant's endpoint. `secret` is there once, for whoever has just made it."""

    endpoint_id: UUID
    url: str
    description: str
    events: tuple[str, ...]
    state: str
    disabled_because: str
    failures: int
    paused_until: datetime | None
    secret_since: datetime
    previous_secret_until: datetime | None
    created_by: str
    created_at: datetime
    secret: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptView:
    """One attempt at a delivery; `status` is None where no answer came, and `error` says why."""

    at: datetime
    url: str
    request_headers: dict[str, str]
    status: int | None
    answer: str
    error: str
    duration_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryView:
    """One event for one endpoint, with its attempts, oldest first."""

    delivery_id: UUID
    endpoint_id: UUID
    event_id: UUID
    type: str
    state: str
    body: str
    attempts: int
    redeliveries: int
    next_attempt_at: datetime | None
    created_at: datetime
    settled_at: datetime | None
    log: tuple[AttemptView, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookFigures:
    """Deliveries not made, by state; endpoints by what they are: active, paused, or why they are disabled."""

    deliveries: dict[str, int]
    endpoints: dict[str, int]
