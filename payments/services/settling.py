"""The one settle path. Callback, poll, browser, staff and expiry all come through here.

What made us ask is only a hint. The gateway's answer, fetched outside any transaction, is the truth; the attempt is
then locked, read again, compared and moved, and the fact is told, in one transaction.
"""

from datetime import datetime
from uuid import UUID

from django.conf import settings

from payments.dto import GatewaySession, Outcome, SessionState, Settlement
from payments.errors import PaymentNotFound
from payments.models import Attempt
from payments.ports import GatewayRefused, GatewayUnavailable
from payments.queries import AttemptRow, attempt_row, lock_attempt
from payments.services import gateways
from payments.services.circuits import GatewayHeldBack
from payments.services.moves import Reason, hold_for_review, move, settled
from payments.states import OPEN, UNANSWERED, AttemptStatus, Source, meaning, moves_to
from shop.kernel.transactions import forbid_unit_of_work, unit_of_work


def settle(*, attempt_id: UUID, source: Source, now: datetime) -> Settlement:
    """Ask the gateway and bring the attempt to its word.

    Raises GatewayUnavailable (the attempt stays as it is, or is `unknown` when its session was never confirmed;
    GatewayHeldBack, which is one too: nobody asked), GatewayRefused when the gateway denies a session it gave us, and
    PaymentNotFound.
    """
    forbid_unit_of_work("Settling a payment")
    attempt = attempt_row(attempt_id=attempt_id)
    if attempt is None:
        raise PaymentNotFound(payment_id=attempt_id)
    return settle_row(attempt=attempt, source=source, now=now)


def settle_row(*, attempt: AttemptRow, source: Source, now: datetime) -> Settlement:
    """Do as `settle`, for an attempt that was just read."""
    answer = answered(attempt=attempt, source=source, now=now)
    if isinstance(answer, Settlement):
        return answer
    return adopt(attempt=attempt, word=answer, source=source, now=now)


def answered(*, attempt: AttemptRow, source: Source, now: datetime) -> GatewaySession | Settlement:
    """Return the gateway's word, or what there is to say without one: nothing to ask, or the session was refused.

    Raises as `settle`.
    """
    if attempt.status is AttemptStatus.SUCCEEDED or (attempt.status not in OPEN and not attempt.session_id):
        return settled(attempt=attempt, outcome=Outcome.UNCHANGED, source=source)
    try:
        return gateways.ask(attempt=attempt, patient=source is not Source.READER)
    except GatewayHeldBack:
        # Nobody asked, so nothing is unknown that was known before.
        raise
    except GatewayUnavailable as error:
        if attempt.status is AttemptStatus.CREATED:
            leave_unknown(attempt=attempt, reason=Reason(source=source, why=str(error), now=now))
        raise
    except GatewayRefused as error:
        if attempt.session_id:
            raise
        refused, outcome = _refuse(attempt=attempt, reason=Reason(source=source, why=error.code, now=now))
        return settled(attempt=refused, outcome=outcome, source=source)


def close_row(*, attempt: AttemptRow, source: Source, now: datetime) -> Settlement:
    """Close the attempt's session at the gateway and bring the attempt to the gateway's word on that.

    The gateway is the judge between closing and paying: a session it would not close comes back paid.
    """
    return adopt(attempt=attempt, word=gateways.close(attempt=attempt), source=source, now=now)


def adopt(*, attempt: AttemptRow, word: GatewaySession, source: Source, now: datetime) -> Settlement:
    """Bring the attempt to a word the gateway has just given; the same state again changes nothing."""
    adopted, outcome = _adopt(attempt=attempt, word=word, source=source, now=now)
    return settled(attempt=adopted, outcome=outcome, source=source)


def leave_unknown(*, attempt: AttemptRow, reason: Reason) -> AttemptRow:
    """Write down that nobody knows whether the gateway made the session; a newer truth is left alone."""
    row, outcome = _leave_unknown(attempt=attempt, reason=reason)
    if outcome is Outcome.MOVED:
        settled(attempt=row, outcome=outcome, source=reason.source)
    return row


@unit_of_work
def hold_unanswered(*, attempt: AttemptRow, reason: Reason) -> None:
    """Give an attempt the gateway never answered for to a person: it is neither paid nor failed."""
    current = _locked(attempt)
    if current.status in UNANSWERED and not current.review_reason:
        hold_for_review(attempt=current, reason=reason)


@unit_of_work
def _adopt(*, attempt: AttemptRow, word: GatewaySession, source: Source, now: datetime) -> tuple[AttemptRow, Outcome]:
    current = _locked(attempt)
    if current.status is AttemptStatus.SUCCEEDED:
        return current, Outcome.UNCHANGED
    if current.quarantined and source is not Source.STAFF:
        if source is Source.ORDER_CANCELLED:
            # It is closed now, as somebody wanted, and the clock has nothing more to do.
            Attempt.objects.filter(id=current.id).update(next_poll_at=None)
        return current, Outcome.QUARANTINED
    differing = differences(attempt=current, word=word)
    if differing:
        return hold_for_review(
            attempt=current, reason=Reason(source=source, why=differing, now=now)
        ), Outcome.QUARANTINED
    ran_out = now >= current.expires_at and not current.close_wanted
    path = moves_to(current.status, meaning(word.state, overdue=ran_out))
    if not path and not current.review_reason:
        return current, Outcome.UNCHANGED
    why = f"the gateway says {word.state.value}"
    moved = move(attempt=current, path=path, word=word, reason=Reason(source=source, why=why, now=now))
    return moved, Outcome.MOVED if current.status in OPEN else Outcome.CORRECTED


@unit_of_work
def _refuse(*, attempt: AttemptRow, reason: Reason) -> tuple[AttemptRow, Outcome]:
    current = _locked(attempt)
    if current.status not in UNANSWERED:
        return current, Outcome.UNCHANGED
    return move(attempt=current, path=(AttemptStatus.FAILED,), word=None, reason=reason), Outcome.MOVED


@unit_of_work
def _leave_unknown(*, attempt: AttemptRow, reason: Reason) -> tuple[AttemptRow, Outcome]:
    current = _locked(attempt)
    if current.status is not AttemptStatus.CREATED:
        return current, Outcome.UNCHANGED
    return move(attempt=current, path=(AttemptStatus.UNKNOWN,), word=None, reason=reason), Outcome.MOVED


def _locked(attempt: AttemptRow) -> AttemptRow:
    current = lock_attempt(attempt_id=attempt.id, order_id=attempt.order_id)
    if current is None:
        raise PaymentNotFound(payment_id=attempt.id)
    return current


def differences(*, attempt: AttemptRow, word: GatewaySession) -> str:
    """Name everything in which the gateway's word is not about the payment we asked for; empty when it is."""
    expected_captured = attempt.amount if word.state is SessionState.PAID else 0
    compared = {
        "session": (attempt.session_id or word.session_id, word.session_id),
        "reference": (attempt.reference, word.reference),
        "currency": (attempt.currency, word.amount.currency),
        "amount": (attempt.amount, word.amount.amount),
        "captured currency": (attempt.currency, word.captured.currency),
        "captured": (expected_captured, word.captured.amount),
        "live mode": (settings.PAYMENT_LIVE_MODE, word.live),
    }
    return "; ".join(
        f"{name} {theirs} instead of {ours}" for name, (ours, theirs) in compared.items() if ours != theirs
    )
