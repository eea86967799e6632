"""The part of an order's story that payments tell: attempts, what gateways said of them, refunds, what is asked next.

Words a person typed (why money goes back) are left out: they may name somebody.
"""

from collections.abc import Iterator
from datetime import datetime
from uuid import UUID

from payments.models import Attempt, Callback, Move, Refund, RefundMove
from payments.states import OPEN
from shop.kernel.money import Money
from shop.kernel.stories import Moment, Story, clock_text


def story(*, order_id: UUID, now: datetime) -> Story:
    """Tell what became of the attempts to collect the order's money, and of money that went back."""
    attempts = list(Attempt.objects.filter(payable_id=order_id).order_by("id"))
    refunds = list(Refund.objects.filter(attempt__in=attempts).order_by("id"))
    callbacks = [told for attempt in attempts for told in _callbacks(attempt)]
    return Story(
        moments=(
            *(moment for attempt in attempts for moment in _attempt(attempt)),
            *(_callback(told) for told in callbacks),
            *(moment for refund in refunds for moment in _refund(refund)),
        ),
        next=(
            *(line for attempt in attempts for line in _attempt_next(attempt, now=now)),
            *(line for told in callbacks for line in _callback_next(told)),
            *(line for refund in refunds for line in _refund_next(refund)),
        ),
    )


def _attempt(attempt: Attempt) -> Iterator[Moment]:
    name = f"payment {attempt.reference}"
    money = Money(attempt.amount, attempt.currency)
    yield Moment(attempt.created_at, "payment", f"{name}: {money} asked for at {attempt.gateway}")
    for move in Move.objects.filter(attempt=attempt):
        yield Moment(move.at, "payment", f"{name}: {_moved(move)}")
    if attempt.looked_at:
        yield Moment(attempt.looked_at, "payment", f"{name}: the gateway asked for a reader, last time")


def _callbacks(attempt: Attempt) -> Iterator[Callback]:
    if attempt.session_id:
        of_session = Callback.objects.filter(gateway=attempt.gateway, session_id=attempt.session_id)
        yield from of_session.defer("body", "headers").order_by("id")


def _callback(told: Callback) -> Moment:
    error = f": {told.last_error}" if told.last_error else ""
    return Moment(told.received_at, "callback", f"{told.type} from {told.gateway}, now {told.state}{error}")


def _refund(refund: Refund) -> Iterator[Moment]:
    money = Money(refund.amount, refund.currency)
    yield Moment(refund.created_at, "refund", f"{money} to go back ({refund.cause})")
    for move in RefundMove.objects.filter(refund=refund):
        yield Moment(move.at, "refund", f"{money}: {_moved(move)}")


def _moved(move: Move | RefundMove) -> str:
    why = f", {move.why}" if move.why else ""
    return f"{move.from_status or '-'} -> {move.to_status} ({move.source}{why})"


def _attempt_next(attempt: Attempt, *, now: datetime) -> Iterator[str]:
    name = f"Payment {attempt.reference}"
    if attempt.status in OPEN and attempt.expires_at > now:
        yield f"{name} waits for the gateway until {clock_text(attempt.expires_at)}."
    elif attempt.status in OPEN:
        yield f"{name} should have ended at {clock_text(attempt.expires_at)}; it does once the gateway has closed it."
    if attempt.next_poll_at:
        verb = "has its session closed at the gateway" if attempt.close_wanted else "is asked about at the gateway"
        yield f"{name} {verb} at {clock_text(attempt.next_poll_at)} ({attempt.polls} times so far as {attempt.status})."
    if attempt.needs_review:
        yield f"{name} waits for a person ({attempt.review_reason}): Admin > Payments."


def _callback_next(told: Callback) -> Iterator[str]:
    if told.next_attempt_at:
        yield f"Callback {told.event_id} is processed at {clock_text(told.next_attempt_at)}."
    elif told.state in {"parked", "quarantined", "dead"}:
        yield f"Callback {told.event_id} is {told.state}: Retry or Dismiss in Admin > Callbacks."


def _refund_next(refund: Refund) -> Iterator[str]:
    name = f"The refund of {Money(refund.amount, refund.currency)}"
    if refund.next_try_at:
        yield f"{name} ({refund.status}) is asked about at the gateway at {clock_text(refund.next_try_at)}."
    if refund.needs_review:
        yield f"{name} waits for a person ({refund.review_reason}): Admin > Refunds."
