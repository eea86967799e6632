"""A payment's refunds as its gateway lists them: ours brought to its word, those of its dashboard written down."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

import structlog
from django.conf import settings

from payments import metrics
from payments.dto import GatewayRefund, Outcome, RefundsAdopted, RefundState
from payments.errors import PaymentNotFound
from payments.queries import AttemptRow, RefundRow, attempt_row, lock_attempt, refund_rows
from payments.services import gateways
from payments.services.moves import Reason
from payments.services.refunds.moves import hold, settled_refund
from payments.services.refunds.requests import new_refund
from payments.services.refunds.settling import adopt_locked
from payments.services.schedule import next_refund_try
from payments.states import HOLDING, AttemptStatus, RefundCause, RefundStatus, Source
from shop.kernel.transactions import forbid_unit_of_work, unit_of_work

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Adopted:
    """What was done under the lock; counted and logged after the commit."""

    rows: list[tuple[RefundRow, Outcome]] = field(default_factory=list)
    imported: list[UUID] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)
    unfit: list[str] = field(default_factory=list)


def adopt_refunds_of(*, attempt_id: UUID, source: Source, now: datetime) -> RefundsAdopted:
    """Bring a payment's refunds to the gateway's list, and write down those it alone knew of, each once.

    What no captured money is left for is not written: a refund of ours that is about to be rejected may hold it, so
    it is tried again later. Raises PaymentNotFound, GatewayUnavailable, GatewayRefused.
    """
    forbid_unit_of_work("Asking for refunds")
    attempt = attempt_row(attempt_id=attempt_id)
    if attempt is None:
        raise PaymentNotFound(payment_id=attempt_id)
    if attempt.status is not AttemptStatus.SUCCEEDED:
        return RefundsAdopted()
    words = gateways.list_refunds(of=attempt)
    if not words:
        return RefundsAdopted()
    return _told(attempt, _adopt(attempt, words, source, now), source)


@unit_of_work
def _adopt(attempt: AttemptRow, words: list[GatewayRefund], source: Source, now: datetime) -> _Adopted:
    locked = lock_attempt(attempt_id=attempt.id, order_id=attempt.order_id)
    if locked is None:
        raise PaymentNotFound(payment_id=attempt.id)
    adopted = _Adopted()
    known = refund_rows(attempt_id=attempt.id)
    rows = {row.id: row for row in known}
    unknown = []
    for word in words:
        row = _ours(known, word)
        if row is None:
            unknown.append(word)
        else:
            rows[row.id], outcome = adopt_locked(refund=rows[row.id], word=word, source=source, now=now)
            adopted.rows.append((rows[row.id], outcome))
    # What ours have let go of is there for the others.
    left = locked.captured - sum(row.amount for row in rows.values() if row.status in HOLDING)
    _import(locked, unknown, left, adopted, Reason(source=source, why="the gateway alone knew of it", now=now))
    return adopted


def _ours(known: Iterable[RefundRow], word: GatewayRefund) -> RefundRow | None:
    by_id = next((row for row in known if row.gateway_refund_id == word.refund_id), None)
    return by_id or next((row for row in known if not row.gateway_refund_id and str(row.id) == word.reference), None)


def _import(attempt: AttemptRow, words: list[GatewayRefund], left: int, adopted: _Adopted, reason: Reason) -> None:
    for word in words:
        if word.state is RefundState.REJECTED:
            # It moved no money, and nobody here has asked for it.
            continue
        if _is_strange(attempt, word):
            adopted.strange.append(word.refund_id)
        elif word.amount.amount > left:
            # What is back already moved nothing in the end.
            if word.state is not RefundState.REVERSED:
                adopted.unfit.append(word.refund_id)
        else:
            row, outcome = _imported(attempt, word, reason)
            left -= row.amount if row.status in HOLDING else 0
            adopted.imported.append(row.id)
            adopted.rows.append((row, outcome))


def _is_strange(attempt: AttemptRow, word: GatewayRefund) -> bool:
    theirs = (word.amount.currency, word.live, word.session_id or attempt.session_id)
    return theirs != (attempt.currency, settings.PAYMENT_LIVE_MODE, attempt.session_id) or word.amount.amount <= 0


def _imported(attempt: AttemptRow, word: GatewayRefund, reason: Reason) -> tuple[RefundRow, Outcome]:
    row = replace(
        new_refund(attempt=attempt, amount=word.amount, cause=RefundCause.EXTERNAL, now=reason.now),
        gateway_refund_id=word.refund_id,
        status=RefundStatus.SUBMITTED,
        next_try_at=next_refund_try(status=RefundStatus.SUBMITTED, tries=0, now=reason.now),
    )
    hold(refund=row, due_event_id=None, reason=reason)
    adopted, _ = adopt_locked(refund=row, word=word, source=reason.source, now=reason.now)
    return adopted, Outcome.MOVED


def _told(attempt: AttemptRow, adopted: _Adopted, source: Source) -> RefundsAdopted:
    ids = {"payment_id": str(attempt.id), "order_id": str(attempt.order_id), "gateway": attempt.gateway}
    settled = tuple(settled_refund(refund=row, outcome=outcome, source=source) for row, outcome in adopted.rows)
    for refund_id in adopted.imported:
        log.warning("refund.imported", refund_id=str(refund_id), **ids)
    for named, strangers in (("refund.strange", adopted.strange), ("refund.unfit", adopted.unfit)):
        for gateway_refund_id in strangers:
            metrics.refunds_not_imported.labels(attempt.gateway).inc()
            log.error(named, gateway_refund_id=gateway_refund_id, **ids)
    return RefundsAdopted(
        settled=settled,
        imported=tuple(adopted.imported),
        strange=tuple(adopted.strange),
        unfit=tuple(adopted.unfit),
    )
