"""What can be done about a finding without deciding anything: asking again, importing, counting, writing down."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.conf import settings

from orders import queries as orders
from orders import services as order_services
from orders.dto import MoneyTaken
from payments.errors import FindingNotFixable, FindingNotOpen
from payments.models import Attempt, Finding
from payments.services.ledger import post_missing_capture
from payments.services.reconciliation.drift import REFUND_KINDS, SESSION_KINDS, Drift
from payments.services.reconciliation.findings import close, lock_open, open_finding
from payments.services.reconciliation.gateway import gateway_drifts
from payments.services.reconciliation.house import CAPTURES, ledger_drifts, money_drifts, moneyless_drifts
from payments.services.refunds import adopt_refunds_of, give_back_due
from payments.services.settling import settle
from payments.states import AttemptStatus, FindingKind, FindingState, RefundCause, Source
from shop.kernel.money import Money
from shop.kernel.transactions import forbid_unit_of_work, unit_of_work

# Orders that keep no money, unless a person is to decide, and why it goes back.
_CLOSED = {"cancelled": RefundCause.CANCELLED, "expired": RefundCause.LATE_PAYMENT}


@dataclass(frozen=True, slots=True)
class Fix:
    """What was done about a finding, and whether that was enough."""

    done: str
    fixed: bool


def fix_finding(*, finding_id: UUID, source: Source, now: datetime) -> Fix:
    """Do what safely can be done about an open finding, look again, and close it if it is no longer so.

    Everything done here is what would have happened by itself had nothing been lost, and may be done twice. Raises
    FindingNotFound, FindingNotOpen, FindingNotFixable, and what the gateway raises.
    """
    forbid_unit_of_work("Fixing a finding")
    finding = open_finding(finding_id=finding_id)
    if finding.attempt_id is None or not is_fixable(finding=finding):
        raise FindingNotFixable(finding_id=finding_id, kind=finding.kind)
    done = _FIXES[FindingKind(finding.kind)](finding.attempt_id, source, now)
    drifts = _drifts(finding)
    if drifts is None or any(_concerns(drift, finding) for drift in drifts):
        return Fix(done, fixed=False)
    _close_as_fixed(finding_id, done, now)
    return Fix(done, fixed=True)


def is_fixable(*, finding: Finding) -> bool:
    """Say whether there is something safe to do about it."""
    if finding.kind not in FIXABLE or (finding.gateway and finding.gateway not in settings.GATEWAYS):
        return False
    if finding.kind == FindingKind.LEDGER_DIFFERS and not finding.subject.startswith(CAPTURES):
        return False
    return finding.attempt_id is not None and finding.state == FindingState.OPEN


@unit_of_work
def _close_as_fixed(finding_id: UUID, done: str, now: datetime) -> None:
    try:
        finding = lock_open(finding_id=finding_id)
    except FindingNotOpen:
        # Whoever mended it at the same time has said so already.
        return
    close(finding=finding, state=FindingState.FIXED, resolution=done, now=now)


def _concerns(drift: Drift, finding: Finding) -> bool:
    """Say whether the finding's subject is still not as it should be; at a gateway it may differ in another way now."""
    kinds = next((kinds for kinds in (SESSION_KINDS, REFUND_KINDS) if finding.kind in kinds), {finding.kind})
    return drift.kind in kinds and (drift.gateway, drift.subject) == (finding.gateway, finding.subject)


def _drifts(finding: Finding) -> list[Drift] | None:
    if finding.kind in SESSION_KINDS | REFUND_KINDS:
        return gateway_drifts(finding=finding)
    if finding.kind == FindingKind.LEDGER_DIFFERS:
        return ledger_drifts()
    order_ids = [UUID(finding.subject)]
    return [*money_drifts(order_ids=order_ids), *moneyless_drifts(order_ids=order_ids)]


def _settle(attempt_id: UUID, source: Source, now: datetime) -> str:
    settlement = settle(attempt_id=attempt_id, source=source, now=now)
    return f"asked the gateway: {settlement.outcome}, now {settlement.status}"


def _adopt_refunds(attempt_id: UUID, source: Source, now: datetime) -> str:
    adopted = adopt_refunds_of(attempt_id=attempt_id, source=source, now=now)
    settled = ", ".join(f"{one.outcome}, now {one.status}" for one in adopted.settled)
    held_back = f"; {len(adopted.unfit)} for which no money is left here" if adopted.unfit else ""
    strange = f"; {len(adopted.strange)} that are strange to us" if adopted.strange else ""
    return f"asked for the payment's refunds: {settled or 'none of them ours'}{held_back}{strange}"


def _count_money(attempt_id: UUID, source: Source, now: datetime) -> str:
    """Tell the order of all its money, as `payment.success` would have, and give back what it had counted and is due.

    What the order only now declares due back follows its event.
    """
    order_id = Attempt.objects.values_list("payable_id", flat=True).get(id=attempt_id)
    told = _counted(order_id, now)
    known = [payment_id for payment_id, taken in told.items() if taken is MoneyTaken.ALREADY_COUNTED]
    asked = "".join(f"; {money} asked back" for money in _asked_back(order_id, known, source, now))
    return f"the order was told of its money: {', '.join(told.values())}{asked}"


@unit_of_work
def _counted(order_id: UUID, now: datetime) -> dict[UUID, MoneyTaken]:
    captured = Attempt.objects.filter(payable_id=order_id, status=AttemptStatus.SUCCEEDED).order_by("id")
    return {
        attempt.id: order_services.mark_paid(
            order_id=order_id, payment_id=attempt.id, amount=Money(attempt.captured, attempt.currency), now=now
        )
        for attempt in captured
    }


def _asked_back(order_id: UUID, payment_ids: list[UUID], source: Source, now: datetime) -> list[Money]:
    """Ask for what these payments still keep although their order is closed and has declared it due back."""
    order = orders.payable(order_id=order_id)
    cause = _CLOSED.get(order.status) if order else None
    if cause is None:
        return []
    due = orders.due_back(order_id=order_id)
    asked = [
        give_back_due(payment_id=payment_id, due=due[payment_id], cause=cause, source=source, now=now)
        for payment_id in payment_ids
        if payment_id in due
    ]
    return [refund.amount for refund in asked if refund]


def _post_capture(attempt_id: UUID, source: Source, now: datetime) -> str:
    del source, now
    posted = post_missing_capture(attempt_id=attempt_id)
    return "the capture was written into the ledger" if posted else "the capture is in the ledger"


_FIXES: dict[FindingKind, Callable[[UUID, Source, datetime], str]] = {
    FindingKind.PAID_UNSETTLED_HERE: _settle,
    FindingKind.REFUND_UNKNOWN_HERE: _adopt_refunds,
    FindingKind.REFUND_DIFFERS: _adopt_refunds,
    FindingKind.DOUBLE_CHARGE: _count_money,
    FindingKind.PAID_WITHOUT_ORDER: _count_money,
    FindingKind.LEDGER_DIFFERS: _post_capture,
}
FIXABLE = frozenset(_FIXES)
