"""Shapes payments exchanges with gateways and hands to others."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from shop.kernel.money import Money


class SessionState(StrEnum):
    """What a gateway says about a session, in words every gateway shares."""

    OPEN = "open"
    PROCESSING = "processing"
    PAID = "paid"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    CLOSED = "closed"


class RefundState(StrEnum):
    """What a gateway says about a refund, in words every gateway shares."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    REJECTED = "rejected"
    REVERSED = "reversed"


@dataclass(frozen=True, slots=True)
class SessionRequest:
    """What we ask a gateway to collect. `idempotency_key` derives from a row committed before the call."""

    idempotency_key: str
    reference: str
    amount: Money
    return_url: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class GatewaySession:
    """The gateway's own word about one session.

    `payment_id` is the gateway's name for the money where that is not the session's; `fee` what it keeps of it.
    """

    session_id: str
    state: SessionState
    redirect_url: str
    reference: str
    amount: Money
    captured: Money
    live: bool
    failure_code: str = ""
    payment_id: str = ""
    fee: Money | None = None
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RefundRequest:
    """What we ask a gateway to give back. `reference` is ours; the gateway keeps it beside the refund."""

    idempotency_key: str
    reference: str
    session_id: str
    payment_id: str
    amount: Money


@dataclass(frozen=True, slots=True)
class GatewayRefund:
    """The gateway's own word about one refund. `reference` is empty for one that was not made by us."""

    refund_id: str
    session_id: str
    payment_id: str
    reference: str
    state: RefundState
    amount: Money
    live: bool
    failure_code: str = ""
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class CallbackMessage:
    """One verified message of a gateway: which event, about which session. Only a hint: the session is fetched.

    `session_id` may be the gateway's name for the money (`GatewaySession.payment_id`) where a message knows no other.
    """

    event_id: str
    type: str
    session_id: str
    occurred_at: datetime | None = None
    concerns_refunds: bool = False


@dataclass(frozen=True, slots=True)
class PaymentView:
    """One payment attempt as others may see it."""

    payment_id: UUID
    order_id: UUID
    user_id: UUID
    gateway: str
    reference: str
    status: str
    amount: Money
    refunded: Money
    redirect_url: str
    expires_at: datetime
    failure_code: str
    failure_detail: str


@dataclass(frozen=True, slots=True)
class RefundView:
    """One refund as others may see it."""

    refund_id: UUID
    payment_id: UUID
    order_id: UUID
    amount: Money
    status: str
    cause: str
    reason: str
    failure_code: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Started:
    """What `start_attempt` answers: the open attempt, and whether this call made it."""

    payment: PaymentView
    created: bool


class Outcome(StrEnum):
    """What asking the gateway changed here."""

    MOVED = "moved"
    # Money came for an attempt that had ended here: it was corrected to match the gateway.
    CORRECTED = "corrected"
    UNCHANGED = "unchanged"
    QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True)
class Settlement:
    """What one settlement did, and the status the attempt has now."""

    payment_id: UUID
    outcome: Outcome
    status: str


@dataclass(frozen=True, slots=True)
class RefundSettlement:
    """What one settlement of a refund did, and the status the refund has now."""

    refund_id: UUID
    outcome: Outcome
    status: str


@dataclass(frozen=True, slots=True)
class RefundsAdopted:
    """What a gateway's list of one payment's refunds changed here.

    `strange` are those that contradict ours or are not of this payment's kind of money, `unfit` those for which no
    captured money is left here; they have the gateway's ids.
    """

    settled: tuple[RefundSettlement, ...] = ()
    imported: tuple[UUID, ...] = ()
    strange: tuple[str, ...] = ()
    unfit: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Receipt:
    """How many messages of one callback were new, and how many we had already."""

    new: int
    repeated: int


class Processing(StrEnum):
    """What became of one stored callback when it was looked at. Put off: the gateway was not asked, no try is spent."""

    APPLIED = "applied"
    PARKED = "parked"
    QUARANTINED = "quarantined"
    POSTPONED = "postponed"
    PUT_OFF = "put_off"
    DEAD = "dead"
    NOT_DUE = "not_due"


class Expiration(StrEnum):
    """What became of an order whose payment deadline has passed."""

    EXPIRED = "expired"
    PAID = "paid"
    HELD = "held"
    NOT_DUE = "not_due"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """What one reconciliation did: whose books it compared, how many rows of each sort, findings new and gone."""

    of: str
    compared: dict[str, int]
    new: int
    gone: int
