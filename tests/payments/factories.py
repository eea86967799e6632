"""Payments in the states tests begin with, made by the services themselves; and what became of them."""

import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from uuid import UUID

from orders.dto import OrderView
from payments import services
from payments.dto import SessionState, Started
from payments.errors import GatewayDown
from payments.models import Attempt, Callback, Move
from payments.services import NewPayable
from payments.states import UNANSWERED, AttemptStatus, Source
from shop.kernel.auth.dto import Caller
from shop.kernel.outbox.models import LoggedEvent
from tests.payments.fakes import SIGNATURE, FakeGateway, Killed

RETURN_URL = "https://shop.example.com/thanks"
SIGNED: Mapping[str, str] = {"webhook-signature": SIGNATURE, "webhook-id": "1", "authorization": "Bearer secret"}

_STATES = {
    AttemptStatus.PROCESSING: SessionState.PROCESSING,
    AttemptStatus.SUCCEEDED: SessionState.PAID,
    AttemptStatus.FAILED: SessionState.FAILED,
    AttemptStatus.CANCELLED: SessionState.CANCELLED,
    AttemptStatus.EXPIRED: SessionState.EXPIRED,
}


def payable_of(order: OrderView) -> NewPayable:
    """Return what an event about the order says is to be paid."""
    return NewPayable(
        order_id=order.order_id,
        user_id=order.user_id,
        guest=order.guest,
        number=order.number,
        total=order.totals.total,
        deadline=order.payment_deadline,
    )


def started(caller: Caller, order: OrderView, now: datetime, *, return_url: str = RETURN_URL) -> Started:
    """Start paying for the order."""
    return services.start_attempt(caller=caller, order_id=order.order_id, return_url=return_url, gateway=None, now=now)


def attempt_in(
    status: AttemptStatus, *, caller: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> Attempt:
    """Return an attempt that came to `status` as attempts do."""
    if status in UNANSWERED:
        gateway.kill("create_session") if status is AttemptStatus.CREATED else gateway.fall_silent("create_session")
        with suppress(Killed, GatewayDown):
            started(caller, order, now)
        return Attempt.objects.latest("id")
    payment_id = started(caller, order, now).payment.payment_id
    if status is not AttemptStatus.PENDING:
        gateway.become(gateway.only_session(), _STATES[status], "card_declined" * (status is AttemptStatus.FAILED))
        services.settle(attempt_id=payment_id, source=Source.POLL, now=now)
    return Attempt.objects.get(id=payment_id)


def callback_body(session_id: str, *, event_id: str = "evt_1", kind: str = "session.paid") -> bytes:
    """Return the body of a callback as the fake sends it."""
    return json.dumps([{"event_id": event_id, "type": kind, "session_id": session_id}]).encode()


def received(session_id: str, now: datetime, *, event_id: str = "evt_1") -> UUID:
    """Store a callback about the session and return its id."""
    services.receive_callback(
        gateway="fake", body=callback_body(session_id, event_id=event_id), headers=SIGNED, now=now
    )
    return Callback.objects.get(event_id=event_id).id


def history(payment_id: UUID) -> list[tuple[str, str]]:
    """Return the attempt's moves, oldest first."""
    return list(Move.objects.filter(attempt_id=payment_id).values_list("from_status", "to_status"))


def status_of(payment_id: UUID) -> str:
    """Return where the attempt stands."""
    return Attempt.objects.get(id=payment_id).status


def told(order: OrderView) -> list[str]:
    """Return the topics of the payment events told about the order, oldest first."""
    events = LoggedEvent.objects.filter(key=order.order_id, aggregate="payment")
    return list(events.order_by("sequence").values_list("topic", flat=True))


def last_failure(order: OrderView) -> tuple[str, str]:
    """Return `(reason, code)` of the last `payment.failed`."""
    event = LoggedEvent.objects.filter(key=order.order_id, topic="payment.failed").latest("sequence")
    return event.payload["reason"], event.payload["code"]
