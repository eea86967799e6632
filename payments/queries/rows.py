"""Reads of payments. Those on the settle path are written by hand: one statement each, no objects thrown away."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Count, Min, Q

from payments.dto import PaymentView, RefundView
from payments.models import Attempt, Callback, Finding, Refund
from payments.states import AttemptStatus, FindingKind, FindingState, RefundCause, RefundStatus
from shop.kernel.ids import as_uuid
from shop.kernel.money import Money
from shop.kernel.rows import rows_of
from shop.kernel.transactions import joins_unit_of_work

UNANSWERED_REVIEW = "unanswered"
_NEWEST = UUID(int=2**128 - 1)

_DETAILS = {
    "card_declined": "The card was declined.",
    "insufficient_funds": "There is not enough money on the card.",
    "cancelled": "The payment was cancelled.",
    "expired": "The time to pay ran out.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRow:
    """An attempt as the services work on it, with what they need of its payable."""

    id: UUID
    order_id: UUID
    user_id: UUID
    guest: bool
    gateway: str
    reference: str
    session_id: str
    gateway_payment_id: str
    status: AttemptStatus
    amount: int
    currency: str
    captured: int
    refund_held: int
    refunded: int
    return_url: str
    redirect_url: str
    failure_code: str
    review_reason: str
    close_wanted: bool
    polls: int
    next_poll_at: datetime | None
    expires_at: datetime
    moved_at: datetime

    @property
    def money(self) -> Money:
        """What the attempt is to collect."""
        return Money(self.amount, self.currency)

    @property
    def quarantined(self) -> bool:
        """Whether the gateway's word contradicted ours: only a person may let the attempt go on."""
        return self.review_reason not in {"", UNANSWERED_REVIEW}


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundRow:
    """A refund as the services work on it, with what they need of its attempt and payable."""

    id: UUID
    attempt_id: UUID
    order_id: UUID
    user_id: UUID
    guest: bool
    gateway: str
    session_id: str
    gateway_payment_id: str
    gateway_refund_id: str
    status: RefundStatus
    amount: int
    currency: str
    cause: RefundCause
    reason: str
    failure_code: str
    review_reason: str
    tries: int
    next_try_at: datetime | None
    created_at: datetime
    moved_at: datetime

    @property
    def money(self) -> Money:
        """What is to go back."""
        return Money(self.amount, self.currency)

    @property
    def quarantined(self) -> bool:
        """Whether the gateway's word contradicted ours: only a person may let the refund go on."""
        return self.review_reason not in {"", UNANSWERED_REVIEW}


_ATTEMPT_COLUMNS = ", ".join(
    "payable.guest" if field.name == "guest" else f"attempt.{field.name}" for field in fields(AttemptRow)
)

_OF_ATTEMPT = {"order_id", "user_id", "session_id", "gateway_payment_id"}
_REFUND_COLUMNS = ", ".join(
    "payable.guest"
    if field.name == "guest"
    else f"attempt.{field.name}"
    if field.name in _OF_ATTEMPT
    else f"refund.{field.name}"
    for field in fields(RefundRow)
)

ATTEMPTS = f"SELECT {_ATTEMPT_COLUMNS} FROM payments_attempt attempt JOIN payments_payable payable USING (order_id)"  # noqa: S608  constants
_BY_ID = f"{ATTEMPTS} WHERE attempt.id = %s::uuid"
# The indexes leave out attempts without a session; said again, so that a plan made without values knows it. News of
# refunds may know only the gateway's name for the money.
_BY_SESSION = f"""
{ATTEMPTS} WHERE attempt.gateway = %s AND attempt.session_id = %s AND attempt.session_id <> ''
UNION ALL
{ATTEMPTS} WHERE attempt.gateway = %s AND attempt.gateway_payment_id = %s AND attempt.gateway_payment_id <> ''
LIMIT 1
"""
_BY_REFERENCE = f"{ATTEMPTS} WHERE attempt.gateway = %s AND attempt.reference = %s"
_OPEN_OF_ORDER = f"""
{ATTEMPTS} WHERE attempt.order_id = %s::uuid AND attempt.status IN ('created', 'pending', 'unknown', 'processing')
"""
_OF_ORDER_AFTER = (
    f"{ATTEMPTS} WHERE attempt.order_id = %s::uuid AND attempt.id < %s::uuid ORDER BY attempt.id DESC LIMIT %s"
)
_OF_ORDER_BEFORE = (
    f"{ATTEMPTS} WHERE attempt.order_id = %s::uuid AND attempt.id > %s::uuid ORDER BY attempt.id LIMIT %s"
)
# The payable is locked before the attempt, everywhere: an attempt cannot be moved while another one begins.
_LOCK = f"""
WITH payable AS (SELECT order_id, guest FROM payments_payable WHERE order_id = %s::uuid FOR UPDATE)
SELECT {_ATTEMPT_COLUMNS}
FROM payable JOIN payments_attempt attempt USING (order_id)
WHERE attempt.id = %s::uuid
FOR UPDATE OF attempt
"""  # noqa: S608  constants
REFUNDS = f"""
SELECT {_REFUND_COLUMNS}
FROM payments_refund refund
JOIN payments_attempt attempt ON attempt.id = refund.attempt_id
JOIN payments_payable payable USING (order_id)
"""  # noqa: S608  constants
_REFUND_BY_ID = f"{REFUNDS} WHERE refund.id = %s::uuid"
_REFUND_BY_EVENT = f"{REFUNDS} WHERE refund.due_event_id = %s::uuid"
_REFUNDS_OF_ATTEMPT = f"{REFUNDS} WHERE refund.attempt_id = %s::uuid ORDER BY refund.id"
_REFUNDS_AFTER = (
    f"{REFUNDS} WHERE refund.attempt_id = %s::uuid AND refund.id < %s::uuid ORDER BY refund.id DESC LIMIT %s"
)
_REFUNDS_BEFORE = f"{REFUNDS} WHERE refund.attempt_id = %s::uuid AND refund.id > %s::uuid ORDER BY refund.id LIMIT %s"
# The same order as everywhere: payable, attempt, and the refund last.
_LOCK_REFUND = f"""
WITH payable AS (SELECT order_id, guest FROM payments_payable WHERE order_id = %s::uuid FOR UPDATE)
SELECT {_REFUND_COLUMNS}
FROM payable
JOIN payments_attempt attempt USING (order_id)
JOIN payments_refund refund ON refund.attempt_id = attempt.id
WHERE refund.id = %s::uuid
FOR UPDATE OF attempt, refund
"""  # noqa: S608  constants
# Of which order an attempt is never changes, so that it may be looked up on the way to the lock.
_LOCK_PAYMENT = _LOCK.replace("order_id = %s::uuid", "order_id = (SELECT order_id FROM payments_attempt WHERE id = %s)")


def payment(*, payment_id: UUID) -> PaymentView | None:
    """Return one payment, or None."""
    row = attempt_row(attempt_id=payment_id)
    return None if row is None else view_of(row=row)


def payments_of(
    *, order_id: UUID, limit: int = 100, after: UUID | None = None, before: UUID | None = None
) -> list[PaymentView]:
    """Return up to `limit` payments of an order, newest first, that follow `after` in that order.

    With `before`, the ones just above it, nearest first, as a page read backwards needs them.
    """
    if before is not None:
        rows = attempts_by(_OF_ORDER_BEFORE, [order_id, before, limit])
    else:
        rows = attempts_by(_OF_ORDER_AFTER, [order_id, after or _NEWEST, limit])
    return [view_of(row=row) for row in rows]


def attempt_row(*, attempt_id: UUID) -> AttemptRow | None:
    """Return the attempt as it stands, unlocked, or None."""
    return _row(_BY_ID, [attempt_id])


def attempt_of_session(*, gateway: str, session_id: str) -> AttemptRow | None:
    """Return the attempt whose session, or whose money, has this name there; None while we have not learned of it."""
    return _row(_BY_SESSION, [gateway, session_id, gateway, session_id])


def attempt_of_reference(*, gateway: str, reference: str) -> AttemptRow | None:
    """Return the attempt with the reference we gave the gateway, or None."""
    return _row(_BY_REFERENCE, [gateway, reference])


def open_attempt(*, order_id: UUID) -> AttemptRow | None:
    """Return the order's one open attempt, or None."""
    return _row(_OPEN_OF_ORDER, [order_id])


@joins_unit_of_work
def lock_attempt(*, attempt_id: UUID, order_id: UUID) -> AttemptRow | None:
    """Lock payable and attempt, in this order, and return the attempt as it is now."""
    return _row(_LOCK, [order_id, attempt_id])


def refund(*, refund_id: UUID) -> RefundView | None:
    """Return one refund, or None."""
    row = refund_row(refund_id=refund_id)
    return None if row is None else refund_view(row=row)


def refunds_page(*, payment_id: UUID, limit: int, after: UUID | None, before: UUID | None) -> list[RefundView]:
    """Return up to `limit` refunds of a payment, newest first, that follow `after`; with `before`, those just above."""
    if before is not None:
        rows = refunds_by(_REFUNDS_BEFORE, [payment_id, before, limit])
    else:
        rows = refunds_by(_REFUNDS_AFTER, [payment_id, after or _NEWEST, limit])
    return [refund_view(row=row) for row in rows]


def refund_row(*, refund_id: UUID) -> RefundRow | None:
    """Return the refund as it stands, unlocked, or None."""
    return next(iter(refunds_by(_REFUND_BY_ID, [refund_id])), None)


def refund_of_event(*, due_event_id: UUID) -> RefundRow | None:
    """Return the refund that was asked for by this event, or None."""
    return next(iter(refunds_by(_REFUND_BY_EVENT, [due_event_id])), None)


def refund_rows(*, attempt_id: UUID) -> list[RefundRow]:
    """Return the attempt's refunds as they stand, oldest first; exact while the caller holds the attempt's lock."""
    return refunds_by(_REFUNDS_OF_ATTEMPT, [attempt_id])


@joins_unit_of_work
def lock_payment(*, payment_id: UUID) -> AttemptRow | None:
    """Lock payable and attempt, in this order, and return the attempt as it is now, whosever order it is."""
    return _row(_LOCK_PAYMENT, [payment_id, payment_id])


@joins_unit_of_work
def lock_refund(*, refund_id: UUID, order_id: UUID) -> RefundRow | None:
    """Lock payable, attempt and refund, in this order, and return the refund as it is now."""
    return next(iter(refunds_by(_LOCK_REFUND, [order_id, refund_id])), None)


def due_refunds(*, now: datetime, limit: int) -> list[UUID]:
    """Return refunds the gateway should be asked about, the longest due first."""
    due = Refund.objects.filter(next_try_at__lte=now).order_by("next_try_at")
    return list(due.values_list("id", flat=True)[:limit])


def orders_by_gateway_reference(*, text: str) -> list[UUID]:
    """Return the orders whose payments the gateway knows by this reference, session or refund, or we by this id."""
    known = Q(reference=text) | (Q(gateway__in=list(settings.GATEWAYS), session_id=text) & ~Q(session_id=""))
    if payment_id := as_uuid(text):
        known |= Q(id=payment_id)
    by_payment = Attempt.objects.filter(known).order_by().values_list("payable_id", flat=True)
    refunded = Refund.objects.filter(gateway__in=list(settings.GATEWAYS), gateway_refund_id=text).exclude(
        gateway_refund_id=""
    )
    return list({*by_payment, *refunded.order_by().values_list("attempt__payable_id", flat=True)})


def due_polls(*, now: datetime, limit: int) -> list[UUID]:
    """Return attempts the gateway should be asked about, the longest due first."""
    due = Attempt.objects.filter(next_poll_at__lte=now).order_by("next_poll_at")
    return list(due.values_list("id", flat=True)[:limit])


def due_callbacks(*, now: datetime, limit: int) -> list[UUID]:
    """Return callbacks whose turn has come, the longest due first."""
    due = Callback.objects.filter(next_attempt_at__lte=now).order_by("next_attempt_at")
    return list(due.values_list("id", flat=True)[:limit])


def stuck() -> dict[str, int]:
    """Count what waits for a person or for better times, attempts and refunds in review, `unknown` ones, callbacks."""
    counted = {
        "review": Attempt.objects.exclude(review_reason="").count(),
        "unknown": Attempt.objects.filter(status=AttemptStatus.UNKNOWN).count(),
        "refund_review": Refund.objects.exclude(review_reason="").count(),
    }
    for state in ("parked", "quarantined", "dead"):
        counted[state] = Callback.objects.filter(state=state).count()
    return counted


def open_findings() -> dict[str, int]:
    """Count the open findings of every kind, those of which there is none included."""
    found = Finding.objects.filter(state=FindingState.OPEN).order_by().values_list("kind").annotate(Count("id"))
    return dict.fromkeys([kind.value for kind in FindingKind], 0) | dict(found)


def going_back(*, order_id: UUID) -> dict[UUID, int]:
    """Return how much of each payment of an order is held for refunds or back already, in minor units."""
    held = Attempt.objects.filter(payable_id=order_id, refund_held__gt=0).order_by()
    return dict(held.values_list("id", "refund_held"))


def due_since() -> dict[str, datetime | None]:
    """Return when the first callback, poll and refund that wait were due, or will be; None where none waits."""
    return {
        "callback": Callback.objects.aggregate(at=Min("next_attempt_at"))["at"],
        "poll": Attempt.objects.aggregate(at=Min("next_poll_at"))["at"],
        "refund": Refund.objects.aggregate(at=Min("next_try_at"))["at"],
    }


def view_of(*, row: AttemptRow) -> PaymentView:
    """Return the attempt as others may see it."""
    code = row.failure_code
    return PaymentView(
        payment_id=row.id,
        order_id=row.order_id,
        user_id=row.user_id,
        gateway=row.gateway,
        reference=row.reference,
        status=row.status.value,
        amount=row.money,
        refunded=Money(row.refunded, row.currency),
        redirect_url=row.redirect_url,
        expires_at=row.expires_at,
        failure_code=code,
        failure_detail=_DETAILS.get(code, "The payment did not succeed.") if code else "",
    )


def refund_view(*, row: RefundRow) -> RefundView:
    """Return the refund as others may see it."""
    return RefundView(
        refund_id=row.id,
        payment_id=row.attempt_id,
        order_id=row.order_id,
        amount=row.money,
        status=row.status.value,
        cause=row.cause.value,
        reason=row.reason,
        failure_code=row.failure_code,
        created_at=row.created_at,
    )


def attempts_by(statement: str, parameters: Sequence[Any] | Mapping[str, Any]) -> list[AttemptRow]:
    """Return the rows of a statement that begins with ATTEMPTS, their words as members of their enumerations."""
    return [AttemptRow(**(row | {"status": AttemptStatus(row["status"])})) for row in rows_of(statement, parameters)]


def refunds_by(statement: str, parameters: Sequence[Any] | Mapping[str, Any]) -> list[RefundRow]:
    """Return the rows of a statement that begins with REFUNDS, their words as members of their enumerations."""
    return [
        RefundRow(**(row | {"status": RefundStatus(row["status"]), "cause": RefundCause(row["cause"])}))
        for row in rows_of(statement, parameters)
    ]


def _row(statement: str, parameters: Sequence[Any]) -> AttemptRow | None:
    return next(iter(attempts_by(statement, parameters)), None)
