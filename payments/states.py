"""What a payment attempt can be, and the one table of its moves."""

from enum import StrEnum

from payments.dto import SessionState
from shop.kernel.errors import IllegalTransition


class AttemptStatus(StrEnum):
    """Where one attempt to collect an order's money stands."""

    CREATED = "created"
    PENDING = "pending"
    UNKNOWN = "unknown"
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class PayableState(StrEnum):
    """Whether an order's money may still be asked for: settled once it came, closed once nobody wants it."""

    OPEN = "open"
    SETTLED = "settled"
    CLOSED = "closed"


class CallbackState(StrEnum):
    """What became of a gateway's message after it was stored."""

    RECEIVED = "received"
    APPLIED = "applied"
    PARKED = "parked"
    QUARANTINED = "quarantined"
    DEAD = "dead"


class Source(StrEnum):
    """Who made us ask the gateway; it is written beside every move."""

    START = "start"
    CALLBACK = "callback"
    POLL = "poll"
    READER = "reader"
    SHOPPER = "shopper"
    EXPIRY = "expiry"
    ORDER_CANCELLED = "order_cancelled"
    STAFF = "staff"


_S = AttemptStatus

TRANSITIONS: dict[AttemptStatus, frozenset[AttemptStatus]] = {
    _S.CREATED: frozenset({_S.PENDING, _S.UNKNOWN, _S.FAILED}),
    _S.PENDING: frozenset({_S.PROCESSING, _S.SUCCEEDED, _S.FAILED, _S.CANCELLED, _S.EXPIRED}),
    _S.UNKNOWN: frozenset({_S.PENDING, _S.SUCCEEDED, _S.FAILED, _S.EXPIRED}),
    _S.PROCESSING: frozenset({_S.SUCCEEDED, _S.FAILED}),
    # Money wins: a closed attempt is corrected to match the gateway, and only to this.
    _S.FAILED: frozenset({_S.SUCCEEDED}),
    _S.CANCELLED: frozenset({_S.SUCCEEDED}),
    _S.EXPIRED: frozenset({_S.SUCCEEDED}),
    # Refunds and disputes are rows of their own.
    _S.SUCCEEDED: frozenset(),
}
OPEN = frozenset({_S.CREATED, _S.PENDING, _S.UNKNOWN, _S.PROCESSING})
# In these the gateway may hold a session whose id we never learned; the idempotency key finds it.
UNANSWERED = frozenset({_S.CREATED, _S.UNKNOWN})

_MEANING = {
    SessionState.OPEN: _S.PENDING,
    SessionState.PROCESSING: _S.PROCESSING,
    SessionState.PAID: _S.SUCCEEDED,
    SessionState.FAILED: _S.FAILED,
    SessionState.CANCELLED: _S.CANCELLED,
    SessionState.EXPIRED: _S.EXPIRED,
}


def check_move(current: AttemptStatus, wanted: AttemptStatus) -> None:
    """Refuse a move the table does not hold, with IllegalTransition."""
    if wanted not in TRANSITIONS[current]:
        raise IllegalTransition(entity="A payment", current=current, wanted=wanted)


def meaning(state: SessionState, *, overdue: bool) -> AttemptStatus:
    """Say in our words what a gateway's state means; a session closed past its deadline has expired."""
    if state is SessionState.CLOSED:
        return _S.EXPIRED if overdue else _S.CANCELLED
    return _MEANING[state]


def moves_to(current: AttemptStatus, word: AttemptStatus) -> tuple[AttemptStatus, ...]:
    """Return the moves that bring an attempt to the gateway's word: none, one, or two by way of `pending`.

    A session that was made but whose answer never reached us was pending all the while: the history says so.
    """
    if word == current or (current not in OPEN and word != _S.SUCCEEDED) or current == _S.SUCCEEDED:
        return ()
    if current == _S.PROCESSING:
        return _from_processing(word)
    if word in TRANSITIONS[current]:
        return (word,)
    return (_S.PENDING, word)


def _from_processing(word: AttemptStatus) -> tuple[AttemptStatus, ...]:
    # While the money is under way the gateway may still call the session open; nothing has become less true.
    if word == _S.PENDING:
        return ()
    return (_S.SUCCEEDED,) if word == _S.SUCCEEDED else (_S.FAILED,)
