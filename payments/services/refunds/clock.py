"""What happens to refunds when time passes: sent again, asked about, looked at later, given to a person."""

from datetime import datetime, timedelta
from uuid import UUID

from payments.dto import Outcome, RefundSettlement
from payments.models import Refund
from payments.queries import UNANSWERED_REVIEW, RefundRow, lock_refund, refund_row
from payments.services.circuits import GatewayHeldBack
from payments.services.moves import Reason
from payments.services.refunds.moves import hold_refund_for_review, settled_refund
from payments.services.refunds.rest import give_back_rest
from payments.services.refunds.settling import settle_refund_row
from payments.services.schedule import LEASE_SECONDS, next_refund_try
from payments.states import RefundStatus, Source
from shop.kernel.transactions import forbid_unit_of_work, unit_of_work

# In these the gateway may have a refund whose id we never learned.
_UNANSWERED = frozenset({RefundStatus.REQUESTED, RefundStatus.UNKNOWN})


def poll_refund(*, refund_id: UUID, now: datetime) -> RefundSettlement | None:
    """Settle a refund whose turn has come, or see to the rest of one refused; None when another clock took the turn.

    GatewayUnavailable and GatewayRefused pass through: the next turn is written down before the call; one in which
    the gateway was not asked is not counted. The last turn of a refund the gateway never answered for gives it to a
    person: it is neither done nor rejected.
    """
    forbid_unit_of_work("Polling a refund")
    refund = refund_row(refund_id=refund_id)
    if refund is None or not _claim_turn(refund, now):
        return None
    try:
        serve = give_back_rest if refund.status is RefundStatus.REJECTED else settle_refund_row
        settlement = serve(refund=refund, source=Source.POLL, now=now)
    except GatewayHeldBack as error:
        _put_off(refund, now + timedelta(seconds=error.retry_after_seconds))
        raise
    except BaseException:
        _give_to_a_person_if_exhausted(refund, now)
        raise
    _give_to_a_person_if_exhausted(refund, now)
    return settlement


def _claim_turn(refund: RefundRow, now: datetime) -> bool:
    """Take the refund's turn by writing the next one; of two clocks only one changes the row."""
    if refund.next_try_at is None or refund.next_try_at > now:
        return False
    turn = Refund.objects.filter(id=refund.id, status=refund.status, next_try_at=refund.next_try_at)
    after = _turn_after(refund, now)
    if after is None and refund.status in _UNANSWERED:
        # A crash before the refund is a person's must not forget it.
        after = now + timedelta(seconds=LEASE_SECONDS)
    return turn.update(tries=refund.tries + 1, next_try_at=after) == 1


def _put_off(refund: RefundRow, at: datetime) -> None:
    """Give the turn back, unless something has moved the refund meanwhile, or a person has taken it on."""
    turn = Refund.objects.filter(id=refund.id, status=refund.status, tries=refund.tries + 1, next_try_at__isnull=False)
    turn.update(tries=refund.tries, next_try_at=at)


def _turn_after(refund: RefundRow, now: datetime) -> datetime | None:
    return next_refund_try(status=refund.status, tries=refund.tries + 1, now=now)


def _give_to_a_person_if_exhausted(refund: RefundRow, now: datetime) -> None:
    if refund.status not in _UNANSWERED or _turn_after(refund, now) is not None:
        return
    held = _hold_unanswered(refund, Reason(source=Source.POLL, why=UNANSWERED_REVIEW, now=now))
    if held is not None:
        settled_refund(refund=held, outcome=Outcome.QUARANTINED, source=Source.POLL)


@unit_of_work
def _hold_unanswered(refund: RefundRow, reason: Reason) -> RefundRow | None:
    current = lock_refund(refund_id=refund.id, order_id=refund.order_id)
    if current is None or current.status not in _UNANSWERED or current.review_reason:
        return None
    return hold_refund_for_review(refund=current, reason=reason)
