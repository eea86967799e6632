"""What happens when time passes: polls, the look of a reader, and the end of the payment window."""

from datetime import datetime, timedelta
from uuid import UUID

import structlog

from orders import queries as orders
from orders import services as order_services
from payments import metrics
from payments.dto import Expiration, Outcome, PaymentView, Settlement
from payments.models import Attempt, Payable
from payments.ports import GatewayRefused, GatewayUnavailable
from payments.queries import UNANSWERED_REVIEW, AttemptRow, attempt_row, open_attempt, payment
from payments.services.circuits import GatewayHeldBack
from payments.services.moves import Reason
from payments.services.payables import NewPayable, open_payable
from payments.services.schedule import LEASE_SECONDS, next_expiry, next_poll, quiet_since
from payments.services.settling import close_row, hold_unanswered, settle, settle_row
from payments.states import OPEN, UNANSWERED, AttemptStatus, PayableState, Source
from shop.kernel.transactions import forbid_unit_of_work, unit_of_work

log = structlog.get_logger(__name__)

LOOK_INTERVAL_SECONDS = 1


def poll(*, attempt_id: UUID, now: datetime) -> Settlement | None:
    """Ask the gateway about an attempt whose turn has come; None when another clock took the turn.

    An attempt whose order was cancelled is closed at the gateway instead. GatewayUnavailable and GatewayRefused pass
    through: the next turn is written down before the call. A turn in which the gateway was not asked is not counted.
    """
    forbid_unit_of_work("Polling a payment")
    attempt = attempt_row(attempt_id=attempt_id)
    if attempt is None or not _claim_turn(attempt, now):
        return None
    try:
        settlement = _close(attempt, now) if _is_to_be_closed(attempt) else _ask(attempt, now)
    except GatewayHeldBack as error:
        _put_off(attempt, now + timedelta(seconds=error.retry_after_seconds))
        raise
    except BaseException:
        _give_to_a_person_if_exhausted(attempt, now)
        raise
    _give_to_a_person_if_exhausted(attempt, now)
    return settlement


def look(*, payment_id: UUID, now: datetime) -> PaymentView | None:
    """Return the payment for a reader, after asking the gateway when it is still open.

    However often it is read, the gateway is asked once a second at most; its failing never spoils the reading.
    """
    forbid_unit_of_work("Looking at a payment")
    if _claim_look(payment_id, now):
        try:
            settle(attempt_id=payment_id, source=Source.READER, now=now)
        except (GatewayUnavailable, GatewayRefused) as error:
            log.info("payment.look_failed", payment_id=str(payment_id), error=type(error).__name__)
    return payment(payment_id=payment_id)


def expire_order(*, order_id: UUID, now: datetime) -> Expiration:
    """End an order nobody paid for: ask, adopt what is final, close at the gateway, then let the order expire.

    HELD: an attempt is still under way, waits for a person, or has just moved; the clock comes back. Raises
    GatewayUnavailable and GatewayRefused: then nothing expires.
    """
    forbid_unit_of_work("Expiring an order")
    if not _claim_expiry(order_id, now):
        return Expiration.NOT_DUE
    attempt = open_attempt(order_id=order_id)
    result = _end_attempt(attempt, now) if attempt is not None else None
    if result is None:
        result = _end_payable(order_id)
    if result is Expiration.EXPIRED:
        order_services.expire(order_id=order_id, now=now)
    metrics.expirations.labels(result.value).inc()
    log.info("payment.deadline_passed", order_id=str(order_id), outcome=result.value)
    return result


def _claim_turn(attempt: AttemptRow, now: datetime) -> bool:
    """Take the attempt's turn by writing the next one; of two clocks only one changes the row."""
    if attempt.next_poll_at is None or attempt.next_poll_at > now:
        return False
    turn = Attempt.objects.filter(id=attempt.id, status=attempt.status, next_poll_at=attempt.next_poll_at)
    after = next_poll(status=attempt.status, polls=attempt.polls + 1, now=now)
    if after is None and attempt.status is AttemptStatus.UNKNOWN:
        # The last turn hands the attempt to a person; a crash before that must not forget it.
        after = now + timedelta(seconds=LEASE_SECONDS)
    return turn.update(polls=attempt.polls + 1, next_poll_at=after) == 1


def _put_off(attempt: AttemptRow, at: datetime) -> None:
    """Give the turn back, unless something has moved the attempt meanwhile."""
    turn = Attempt.objects.filter(id=attempt.id, status=attempt.status, polls=attempt.polls + 1)
    turn.update(polls=attempt.polls, next_poll_at=at)


def _is_to_be_closed(attempt: AttemptRow) -> bool:
    return attempt.close_wanted and attempt.status in OPEN


def _ask(attempt: AttemptRow, now: datetime) -> Settlement:
    return settle_row(attempt=attempt, source=Source.POLL, now=now)


def _close(attempt: AttemptRow, now: datetime) -> Settlement:
    if attempt.status in UNANSWERED:
        # Only a session we know can be closed; the key finds it.
        found = settle_row(attempt=attempt, source=Source.ORDER_CANCELLED, now=now)
        known = attempt_row(attempt_id=attempt.id)
        if known is None or found.status != AttemptStatus.PENDING:
            return found
        attempt = known
    return close_row(attempt=attempt, source=Source.ORDER_CANCELLED, now=now)


def _give_to_a_person_if_exhausted(attempt: AttemptRow, now: datetime) -> None:
    last = next_poll(status=attempt.status, polls=attempt.polls + 1, now=now) is None
    if last and attempt.status is AttemptStatus.UNKNOWN:
        hold_unanswered(attempt=attempt, reason=Reason(source=Source.POLL, why=UNANSWERED_REVIEW, now=now))


def _claim_look(payment_id: UUID, now: datetime) -> bool:
    recently = now - timedelta(seconds=LOOK_INTERVAL_SECONDS)
    opened = [status.value for status in OPEN]
    open_now = Attempt.objects.filter(id=payment_id, status__in=opened, review_reason="")
    return open_now.exclude(looked_at__gt=recently).update(looked_at=now) == 1


def _claim_expiry(order_id: UUID, now: datetime) -> bool:
    """Take the order for this look past its deadline; its payable is opened first when no event has done so yet."""
    payables = Payable.objects.filter(order_id=order_id)
    due = payables.filter(deadline__lte=now).exclude(next_expiry_at__gt=now)
    if due.update(next_expiry_at=next_expiry(now=now)):
        return True
    if payables.exists():
        return False
    order = orders.payable(order_id=order_id)
    if order is None:
        return False
    _open_payable_of(
        NewPayable(
            order_id=order.order_id,
            user_id=order.user_id,
            guest=order.guest,
            number=order.number,
            total=order.total,
            deadline=order.payment_deadline,
        )
    )
    return due.update(next_expiry_at=next_expiry(now=now)) == 1


@unit_of_work
def _open_payable_of(payable: NewPayable) -> None:
    open_payable(payable=payable)


def _end_attempt(attempt: AttemptRow, now: datetime) -> Expiration | None:
    """Bring the open attempt to its end, the gateway's word before the clock's; None when it brought no money."""
    if attempt.moved_at > quiet_since(now=now) or attempt.quarantined:
        return Expiration.HELD
    settlement = settle_row(attempt=attempt, source=Source.EXPIRY, now=now)
    if settlement.status == AttemptStatus.PENDING and settlement.outcome is not Outcome.QUARANTINED:
        known = attempt_row(attempt_id=attempt.id) or attempt
        settlement = close_row(attempt=known, source=Source.EXPIRY, now=now)
    if settlement.outcome is Outcome.QUARANTINED or AttemptStatus(settlement.status) in OPEN:
        return Expiration.HELD
    return Expiration.PAID if settlement.status == AttemptStatus.SUCCEEDED else None


@unit_of_work
def _end_payable(order_id: UUID) -> Expiration:
    """Shut the payable unless its money came or another attempt began; from then on none can begin."""
    payable = Payable.objects.select_for_update().get(order_id=order_id)
    if payable.state == PayableState.SETTLED:
        return Expiration.PAID
    if open_attempt(order_id=order_id) is not None:
        return Expiration.HELD
    if payable.state == PayableState.OPEN:
        Payable.objects.filter(order_id=order_id).update(state=PayableState.CLOSED)
    return Expiration.EXPIRED
