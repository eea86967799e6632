"""Comparing one row of a gateway's books with ours: no database, no gateway, only what was said and what is written."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings

from orders.dto import PayableOrder
from payments.dto import GatewayRefund, GatewaySession, RefundState, SessionState
from payments.queries import AttemptRow, RefundRow
from payments.queries.books import OrderMoney
from payments.services.refunds.requests import refundable
from payments.services.refunds.settling import differences as refund_differences
from payments.services.settling import differences as session_differences
from payments.states import OPEN, AttemptStatus, FindingKind, RefundStatus
from shop.kernel.money import Money

SESSION_KINDS = frozenset(
    {
        FindingKind.PAID_UNKNOWN_HERE,
        FindingKind.PAID_UNSETTLED_HERE,
        FindingKind.UNPAID_THERE,
        FindingKind.MISSING_THERE,
        FindingKind.AMOUNT_MISMATCH,
        FindingKind.SESSION_DIFFERS,
    }
)
REFUND_KINDS = frozenset(
    {FindingKind.REFUND_UNKNOWN_HERE, FindingKind.REFUND_DIFFERS, FindingKind.REFUND_MISSING_THERE}
)
MONEY_KINDS = frozenset({FindingKind.DOUBLE_CHARGE, FindingKind.PAID_WITHOUT_ORDER})

_TAKEN_AS_PAID = frozenset({"paid", "fulfilled"})
_R = RefundStatus
# Gateways that know one word for a refund that failed say it before and after it had been fine.
_AGREEING = {
    RefundState.PENDING: frozenset({_R.REQUESTED, _R.SUBMITTED, _R.UNKNOWN}),
    RefundState.SUCCEEDED: frozenset({_R.SUCCEEDED}),
    RefundState.REJECTED: frozenset({_R.REJECTED, _R.REVERSED}),
    RefundState.REVERSED: frozenset({_R.REVERSED}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """One thing in which the books differ, as a finding will say it; `subject` in the words of the side that has it."""

    kind: FindingKind
    gateway: str
    subject: str
    attempt_id: UUID | None
    order_id: UUID | None
    detail: str


def session_drift(*, gateway: str, word: GatewaySession, attempt: AttemptRow | None) -> Drift | None:
    """Compare a session with the attempt that has it, or whose reference it bears; None while nothing is amiss."""
    paid = word.state is SessionState.PAID
    if attempt is None or (attempt.session_id and attempt.session_id != word.session_id):
        # A session of nobody that took no money harms nobody.
        return _unknown_session(gateway, word, attempt) if paid else None
    kind, detail = _session_verdict(word, attempt, paid=paid)
    return _of_attempt(kind, attempt, subject=word.session_id, detail=detail) if kind else None


def missing_session(*, attempt: AttemptRow, why: str) -> Drift:
    """Say that the gateway denies the session of an attempt of ours."""
    detail = f"{attempt.reference} is {attempt.status.value} here; the gateway says {why}"
    return _of_attempt(FindingKind.MISSING_THERE, attempt, subject=attempt.session_id, detail=detail)


def refund_drift(
    *, gateway: str, word: GatewayRefund, refund: RefundRow | None, attempt: AttemptRow | None
) -> Drift | None:
    """Compare a refund with ours of this id or reference, of `attempt`; None while nothing is amiss."""
    if refund is None:
        return None if _moved_nothing(word, attempt) else _unknown_refund(gateway, word, attempt)
    detail = refund_differences(refund=refund, word=word)
    if not detail and refund.status not in _AGREEING[word.state]:
        detail = f"{word.state.value} there, {refund.status.value} here"
    return _of_refund(FindingKind.REFUND_DIFFERS, refund, word.refund_id, detail) if detail else None


def missing_refund(*, refund: RefundRow, why: str) -> Drift:
    """Say that the gateway denies a refund it gave us an id for."""
    detail = f"{refund.money} is {refund.status.value} here; the gateway says {why}"
    return _of_refund(FindingKind.REFUND_MISSING_THERE, refund, refund.gateway_refund_id, detail)


def order_drift(*, order: PayableOrder | None, money: OrderMoney) -> Drift | None:
    """Compare the money an order's attempts have brought with the order; None while nothing is amiss."""
    if not money.kept:
        return None
    if money.payments_kept > 1:
        return _of_money(FindingKind.DOUBLE_CHARGE, money, f"{money.payments_kept} payments kept, {money.kept} in all")
    status = order.status if order else "missing"
    if status in _TAKEN_AS_PAID:
        return None
    return _of_money(FindingKind.PAID_WITHOUT_ORDER, money, f"{money.kept} kept, the order is {status}")


def moneyless_order(*, order: PayableOrder, money: OrderMoney | None) -> Drift | None:
    """Compare an order that counts as paid with what its attempts have brought; None when that covers it."""
    captured = money.captured if money else Money.zero(order.total.currency)
    if order.status not in _TAKEN_AS_PAID or captured == order.total:
        return None
    if captured.currency == order.total.currency and captured.amount >= order.total.amount:
        return None
    return Drift(
        kind=FindingKind.ORDER_WITHOUT_MONEY,
        gateway="",
        subject=str(order.order_id),
        attempt_id=None,
        order_id=order.order_id,
        detail=f"{order.status}, costs {order.total}, captured {captured}",
    )


def attempt_rests(*, attempt: AttemptRow, now: datetime) -> bool:
    """Say whether an attempt has neither just moved nor is about to be asked about anyway."""
    around = timedelta(seconds=settings.RECONCILIATION_QUIET_SECONDS)
    due = attempt.next_poll_at
    asked_soon = attempt.status in OPEN and due is not None and abs(due - now) <= around
    return rests(moved_at=attempt.moved_at, now=now) and not asked_soon


def rests(*, moved_at: datetime | None, now: datetime) -> bool:
    """Say whether what moved then has had time to arrive everywhere; what has no date has."""
    return moved_at is None or moved_at <= now - timedelta(seconds=settings.RECONCILIATION_QUIET_SECONDS)


def _session_verdict(word: GatewaySession, attempt: AttemptRow, *, paid: bool) -> tuple[FindingKind | None, str]:
    differing = session_differences(attempt=attempt, word=word)
    if differing:
        expected = attempt.money if paid else Money.zero(attempt.currency)
        same_money = word.amount == attempt.money and word.captured == expected
        return (FindingKind.SESSION_DIFFERS if same_money else FindingKind.AMOUNT_MISMATCH), differing
    succeeded = attempt.status is AttemptStatus.SUCCEEDED
    if paid == succeeded:
        return None, ""
    kind = FindingKind.PAID_UNSETTLED_HERE if paid else FindingKind.UNPAID_THERE
    review = f", in review: {attempt.review_reason}" if attempt.review_reason else ""
    return kind, f"{attempt.reference} is {attempt.status.value} here, {word.state.value} there{review}"


def _unknown_session(gateway: str, word: GatewaySession, attempt: AttemptRow | None) -> Drift:
    taken = f"{word.captured} taken for {word.reference or 'no reference'}"
    other = f"; that payment has the session {attempt.session_id}" if attempt else ""
    return Drift(
        kind=FindingKind.PAID_UNKNOWN_HERE,
        gateway=gateway,
        subject=word.session_id,
        attempt_id=attempt.id if attempt else None,
        order_id=attempt.order_id if attempt else None,
        detail=f"{taken}{other}",
    )


def _moved_nothing(word: GatewayRefund, attempt: AttemptRow | None) -> bool:
    """Say whether an unknown refund was refused, or is back already and there is no room to write both down."""
    if word.state is not RefundState.REVERSED or attempt is None:
        return word.state is RefundState.REJECTED
    return word.amount.amount > refundable(attempt=attempt).amount


def _unknown_refund(gateway: str, word: GatewayRefund, attempt: AttemptRow | None) -> Drift:
    of = attempt.reference if attempt else f"an unknown payment, session {word.session_id or word.payment_id}"
    return Drift(
        kind=FindingKind.REFUND_UNKNOWN_HERE,
        gateway=gateway,
        subject=word.refund_id,
        attempt_id=attempt.id if attempt else None,
        order_id=attempt.order_id if attempt else None,
        detail=f"{word.amount} {word.state.value} there, of {of}",
    )


def _of_attempt(kind: FindingKind, attempt: AttemptRow, *, subject: str, detail: str) -> Drift:
    return Drift(
        kind=kind,
        gateway=attempt.gateway,
        subject=subject,
        attempt_id=attempt.id,
        order_id=attempt.order_id,
        detail=detail,
    )


def _of_refund(kind: FindingKind, refund: RefundRow, subject: str, detail: str) -> Drift:
    return Drift(
        kind=kind,
        gateway=refund.gateway,
        subject=subject,
        attempt_id=refund.attempt_id,
        order_id=refund.order_id,
        detail=detail,
    )


def _of_money(kind: FindingKind, money: OrderMoney, detail: str) -> Drift:
    return Drift(
        kind=kind,
        gateway=money.gateway,
        subject=str(money.order_id),
        attempt_id=money.attempt_id,
        order_id=money.order_id,
        detail=detail,
    )
