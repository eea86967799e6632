"""Starting a payment: before the gateway, the gateway, after the gateway. A crash between any two is recoverable."""

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

from django.conf import settings
from django.db import connection

from orders import queries as orders
from orders.dto import PayableOrder
from orders.errors import OrderNotFound
from payments import metrics
from payments.dto import GatewaySession, Outcome, PaymentView, SessionState, Settlement, Started
from payments.errors import GatewayDown, OrderNotPayable, ReturnUrlNotAllowed, UnknownGateway
from payments.ports import GatewayUnavailable
from payments.queries import AttemptRow, attempt_row, open_attempt, view_of
from payments.services.circuits import retry_after
from payments.services.clock import look
from payments.services.moves import hand_out, settled
from payments.services.schedule import next_poll
from payments.services.settling import adopt, answered, differences
from payments.states import OPEN, UNANSWERED, AttemptStatus, PayableState, Source
from shop.kernel.auth.dto import Caller
from shop.kernel.events import UserAction
from shop.kernel.ids import new_id
from shop.kernel.outbox.services import publish
from shop.kernel.transactions import forbid_unit_of_work, unit_of_work

# The payable is found or opened and its row locked; the attempt is inserted unless the payable is shut or an open
# attempt is there, of which the partial unique index is the judge.
_BEGIN = """
WITH payable AS (
    INSERT INTO payments_payable (order_id, user_id, guest, number, amount, currency, deadline)
    VALUES (%(order_id)s::uuid, %(user_id)s::uuid, %(guest)s::bool, %(number)s::text, %(amount)s::bigint,
            %(currency)s::text, %(deadline)s::timestamptz)
    ON CONFLICT (order_id) DO UPDATE SET order_id = EXCLUDED.order_id
    RETURNING order_id, state
), attempt AS (
    INSERT INTO payments_attempt (id, order_id, user_id, gateway, reference, status, amount, currency, return_url,
                                  next_poll_at, expires_at, created_at, moved_at)
    SELECT %(id)s::uuid, order_id, %(user_id)s::uuid, %(gateway)s::text, %(reference)s::text, 'created',
           %(amount)s::bigint, %(currency)s::text, %(return_url)s::text, %(next_poll_at)s::timestamptz,
           %(deadline)s::timestamptz, %(now)s::timestamptz, %(now)s::timestamptz
    FROM payable WHERE state = 'open'
    ON CONFLICT (order_id) WHERE status IN ('created', 'pending', 'processing', 'unknown') DO NOTHING
    RETURNING id
), history AS (
    INSERT INTO payments_move (id, attempt_id, at, from_status, to_status, source)
    SELECT %(move_id)s::uuid, id, %(now)s::timestamptz, '', 'created', 'start' FROM attempt
)
SELECT payable.state, attempt.id FROM payable LEFT JOIN attempt ON true
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    """An attempt about to be made, if the order has no open one."""

    attempt_id: UUID
    gateway: str
    return_url: str


def start_attempt(*, caller: Caller, order_id: UUID, return_url: str, gateway: str | None, now: datetime) -> Started:
    """Open one attempt to collect the order's money, or answer with the open one again.

    An attempt whose gateway call was lost is continued with the same idempotency key. Raises OrderNotFound,
    OrderNotPayable, ReturnUrlNotAllowed, UnknownGateway and GatewayDown (the attempt is kept and resolved later).
    """
    forbid_unit_of_work("Starting a payment")
    wish = _wish(gateway=gateway or settings.DEFAULT_GATEWAY, return_url=return_url)
    attempt, created = _begin(caller=caller, order_id=order_id, wish=wish, now=now)
    if attempt.status not in UNANSWERED and _has_ended(attempt, now):
        attempt, created = _begin(caller=caller, order_id=order_id, wish=wish, now=now)
    if created:
        metrics.moves.labels(attempt.gateway, AttemptStatus.CREATED.value).inc()
    if attempt.status not in UNANSWERED:
        return Started(payment=view_of(row=attempt), created=False)
    return Started(payment=_with_session(attempt=attempt, now=now), created=created)


def _has_ended(attempt: AttemptRow, now: datetime) -> bool:
    """Ask about an attempt that is handed out again: a decline may be known there before its callback is here."""
    seen = look(payment_id=attempt.id, now=now)
    return seen is not None and AttemptStatus(seen.status) not in OPEN


def _wish(*, gateway: str, return_url: str) -> _Wish:
    if gateway not in settings.GATEWAYS:
        raise UnknownGateway
    attempt_id = new_id()
    return _Wish(attempt_id=attempt_id, gateway=gateway, return_url=_address(return_url, attempt_id))


def _address(return_url: str, payment_id: UUID) -> str:
    """Return the address with `payment_id` in its query; ReturnUrlNotAllowed unless the origin is one of ours.

    Browsers and parsers disagree about backslashes, blanks and control characters, so none may be in it.
    """
    if any(not "!" <= sign <= "~" or sign == "\\" for sign in return_url):
        raise ReturnUrlNotAllowed
    try:
        parts = urlsplit(return_url)
    except ValueError:
        raise ReturnUrlNotAllowed from None
    if f"{parts.scheme}://{parts.netloc}" not in settings.PAYMENT_RETURN_ORIGINS:
        raise ReturnUrlNotAllowed
    kept = [pair for pair in parts.query.split("&") if pair and pair.partition("=")[0] != "payment_id"]
    return urlunsplit(parts._replace(query="&".join([*kept, f"payment_id={payment_id}"])))


@unit_of_work
def _begin(*, caller: Caller, order_id: UUID, wish: _Wish, now: datetime) -> tuple[AttemptRow, bool]:
    """Commit the attempt before any call is made, so that the call's idempotency key outlives a crash."""
    order = orders.payable(order_id=order_id)
    if order is None or order.user_id != caller.id:
        raise OrderNotFound(order_id=order_id)
    if order.status != "pending_payment" or now >= order.payment_deadline:
        raise OrderNotPayable(order_id=order_id, status=order.status)
    fresh = _fresh(order, wish, now)
    state, made = _insert(order, fresh, now)
    if made:
        return fresh, True
    existing = open_attempt(order_id=order_id) if state == PayableState.OPEN else None
    if existing is None:
        raise OrderNotPayable(order_id=order_id, status=order.status)
    return existing, False


def _fresh(order: PayableOrder, wish: _Wish, now: datetime) -> AttemptRow:
    return AttemptRow(
        id=wish.attempt_id,
        order_id=order.order_id,
        user_id=order.user_id,
        guest=order.guest,
        gateway=wish.gateway,
        # The order's number for people, and a tail that tells one attempt of the order from another.
        reference=f"{order.number}-{wish.attempt_id.hex[-8:]}",
        session_id="",
        gateway_payment_id="",
        status=AttemptStatus.CREATED,
        amount=order.total.amount,
        currency=order.total.currency,
        captured=0,
        refund_held=0,
        refunded=0,
        return_url=wish.return_url,
        redirect_url="",
        failure_code="",
        review_reason="",
        close_wanted=False,
        polls=0,
        next_poll_at=next_poll(status=AttemptStatus.CREATED, polls=0, now=now),
        expires_at=order.payment_deadline,
        moved_at=now,
    )


def _insert(order: PayableOrder, fresh: AttemptRow, now: datetime) -> tuple[str, bool]:
    with connection.cursor() as cursor:
        cursor.execute(
            _BEGIN,
            {
                "order_id": order.order_id,
                "user_id": order.user_id,
                "guest": order.guest,
                "number": order.number,
                "amount": fresh.amount,
                "currency": fresh.currency,
                "deadline": fresh.expires_at,
                "id": fresh.id,
                "gateway": fresh.gateway,
                "reference": fresh.reference,
                "return_url": fresh.return_url,
                "next_poll_at": fresh.next_poll_at,
                "now": now,
                "move_id": new_id(),
            },
        )
        state, attempt_id = cursor.fetchone()
    return state, attempt_id is not None


def _with_session(*, attempt: AttemptRow, now: datetime) -> PaymentView:
    try:
        answer = answered(attempt=attempt, source=Source.START, now=now)
    except GatewayUnavailable as error:
        latest = _latest(attempt)
        # Another call of the same shopper may have got through meanwhile.
        if latest.status in UNANSWERED:
            raise GatewayDown(payment_id=attempt.id, retry_after_seconds=retry_after(error)) from None
        return view_of(row=latest)
    if not isinstance(answer, Settlement):
        if answer.state is SessionState.OPEN and not differences(attempt=attempt, word=answer):
            pending = _redirect(attempt=attempt, word=answer, now=now)
            if pending is not None:
                settled(attempt=pending, outcome=Outcome.MOVED, source=Source.START)
                return view_of(row=pending)
        adopt(attempt=attempt, word=answer, source=Source.START, now=now)
    return view_of(row=_latest(attempt))


@unit_of_work
def _redirect(*, attempt: AttemptRow, word: GatewaySession, now: datetime) -> AttemptRow | None:
    pending = hand_out(attempt=attempt, word=word, now=now)
    if pending is not None:
        publish(_redirected(pending, now))
    return pending


def _redirected(attempt: AttemptRow, now: datetime) -> UserAction:
    return UserAction(
        occurred_at=now,
        user_id=attempt.user_id,
        guest=attempt.guest,
        name="Payment Redirected",
        properties={
            "payment_id": str(attempt.id),
            "order_id": str(attempt.order_id),
            "gateway": attempt.gateway,
            "amount": attempt.amount,
            "currency": attempt.currency,
        },
    )


def _latest(attempt: AttemptRow) -> AttemptRow:
    return attempt_row(attempt_id=attempt.id) or attempt
