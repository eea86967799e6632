"""The one settle path of refunds: ask outside any transaction, then lock, compare, move and tell in one."""

from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings

from payments.dto import GatewayRefund, Outcome, RefundSettlement, RefundState
from payments.errors import RefundNotFound
from payments.ports import GatewayRefused, GatewayUnavailable
from payments.queries import RefundRow, lock_refund, refund_row
from payments.services import gateways
from payments.services.circuits import GatewayHeldBack
from payments.services.moves import Reason
from payments.services.refunds.moves import hold_refund_for_review, move_refund, settled_refund
from payments.services.refunds.requests import SETTLE
from payments.services.schedule import LEASE_SECONDS
from payments.states import RefundCause, RefundStatus, Source, refund_moves_to
from shop.kernel.tasks import wake
from shop.kernel.transactions import forbid_unit_of_work, unit_of_work

_ENDED = frozenset({RefundStatus.REJECTED, RefundStatus.REVERSED})


def settle_refund(*, refund_id: UUID, source: Source, now: datetime) -> RefundSettlement:
    """Send the refund if the gateway does not have it, and bring it to the gateway's word.

    Raises GatewayUnavailable (the refund is `unknown`, or as it was when the gateway had it already or was not even
    asked), GatewayRefused when the gateway denies a refund it gave us, and RefundNotFound.
    """
    forbid_unit_of_work("Settling a refund")
    refund = refund_row(refund_id=refund_id)
    if refund is None:
        raise RefundNotFound(refund_id=refund_id)
    return settle_refund_row(refund=refund, source=source, now=now)


def settle_refund_row(*, refund: RefundRow, source: Source, now: datetime) -> RefundSettlement:
    """Do as `settle_refund`, for a refund that was just read."""
    if refund.status in _ENDED:
        return settled_refund(refund=refund, outcome=Outcome.UNCHANGED, source=source)
    if refund.quarantined and source is not Source.STAFF:
        return settled_refund(refund=refund, outcome=Outcome.QUARANTINED, source=source)
    try:
        word = _word(refund, now)
    except GatewayHeldBack:
        raise
    except GatewayUnavailable as error:
        _leave_unknown(refund, Reason(source=source, why=str(error), now=now))
        raise
    except GatewayRefused as error:
        if refund.gateway_refund_id:
            raise
        current, outcome = _reject(refund, Reason(source=source, why=error.code, now=now))
        return settled_refund(refund=current, outcome=outcome, source=source)
    current, outcome = _adopt(refund, word, source, now)
    return settled_refund(refund=current, outcome=outcome, source=source)


def adopt_locked(*, refund: RefundRow, word: GatewayRefund, source: Source, now: datetime) -> tuple[RefundRow, Outcome]:
    """Bring a refund, locked by the caller, to the gateway's word; a word that differs from ours moves nothing."""
    if refund.quarantined and source is not Source.STAFF:
        return refund, Outcome.QUARANTINED
    differing = differences(refund=refund, word=word)
    if differing:
        reason = Reason(source=source, why=differing, now=now)
        return hold_refund_for_review(refund=refund, reason=reason), Outcome.QUARANTINED
    path = refund_moves_to(refund.status, word.state)
    if not path and not refund.review_reason:
        return refund, Outcome.UNCHANGED
    reason = Reason(source=source, why=f"the gateway says {word.state.value}", now=now)
    return move_refund(refund=refund, path=path, word=word, reason=reason), Outcome.MOVED


def differences(*, refund: RefundRow, word: GatewayRefund) -> str:
    """Name everything in which the gateway's word is not about the refund we asked for; empty when it is."""
    # Whoever made it in the dashboard gave it what reference they liked.
    reference = word.reference if refund.cause is RefundCause.EXTERNAL else str(refund.id)
    compared = {
        "refund": (refund.gateway_refund_id or word.refund_id, word.refund_id),
        "session": (refund.session_id if word.session_id else "", word.session_id),
        "payment": (refund.gateway_payment_id or word.payment_id if word.payment_id else "", word.payment_id),
        "reference": (reference, word.reference),
        "currency": (refund.currency, word.amount.currency),
        "amount": (refund.amount, word.amount.amount),
        "live mode": (settings.PAYMENT_LIVE_MODE, word.live),
    }
    named = [f"{name} {theirs} instead of {ours}" for name, (ours, theirs) in compared.items() if ours != theirs]
    if refund.status is RefundStatus.REJECTED and word.state is RefundState.SUCCEEDED:
        named.append("succeeded after it was rejected")
    return "; ".join(named)


def _word(refund: RefundRow, now: datetime) -> GatewayRefund:
    if refund.gateway_refund_id:
        return gateways.fetch_refund(refund=refund)
    return (_found(refund) if _may_be_there(refund, now) else None) or gateways.create_refund(refund=refund)


def _may_be_there(refund: RefundRow, now: datetime) -> bool:
    """Say whether the gateway may have the refund already: gateways forget keys, some after an hour."""
    first = refund.status is RefundStatus.REQUESTED and refund.tries == 0
    return not first or now - refund.created_at > timedelta(seconds=LEASE_SECONDS)


def _found(refund: RefundRow) -> GatewayRefund | None:
    try:
        words = gateways.list_refunds(of=refund)
    except GatewayRefused as error:
        # A list that is denied says nothing about the refund.
        raise GatewayUnavailable(f"the refunds are not listed: {error.code}") from error
    return next((word for word in words if word.reference == str(refund.id)), None)


@unit_of_work
def _adopt(refund: RefundRow, word: GatewayRefund, source: Source, now: datetime) -> tuple[RefundRow, Outcome]:
    return adopt_locked(refund=_locked(refund), word=word, source=source, now=now)


@unit_of_work
def _leave_unknown(refund: RefundRow, reason: Reason) -> None:
    """Write down that nobody knows whether the gateway has the refund; a newer truth is left alone."""
    current = _locked(refund)
    if current.status is RefundStatus.REQUESTED:
        path = (RefundStatus.SUBMITTED, RefundStatus.UNKNOWN)
        move_refund(refund=current, path=path, word=None, reason=reason)


@unit_of_work
def _reject(refund: RefundRow, reason: Reason) -> tuple[RefundRow, Outcome]:
    current = _locked(refund)
    # Whoever asked at the same time may have brought a better answer.
    if current.gateway_refund_id or current.status in _ENDED:
        return current, Outcome.UNCHANGED
    path = refund_moves_to(current.status, RefundState.REJECTED)
    rejected = move_refund(refund=current, path=path, word=None, reason=reason)
    if rejected.next_try_at is not None:
        wake(SETTLE, refund_id=str(rejected.id))
    return rejected, Outcome.MOVED


def _locked(refund: RefundRow) -> RefundRow:
    current = lock_refund(refund_id=refund.id, order_id=refund.order_id)
    if current is None:
        raise RefundNotFound(refund_id=refund.id)
    return current
