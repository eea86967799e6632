"""What attempts, callbacks, refunds and findings can be, and the tables of their moves."""

from enum import StrEnum

from payments.dto import RefundState, SessionState
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
    DISMISSED = "dismissed"


class Source(StrEnum):
    """Who made us ask the gateway; it is written beside every move."""

    START = "start"
    CALLBACK = "callback"
    POLL = "poll"
    READER = "reader"
    SHOPPER = "shopper"
    EXPIRY = "expiry"
    ORDER_CANCELLED = "order_cancelled"
    ORDER = "order"
    STAFF = "staff"
    RECONCILIATION = "reconciliation"


class RefundStatus(StrEnum):
    """Where money on its way back stands."""

    REQUESTED = "requested"
    SUBMITTED = "submitted"
    UNKNOWN = "unknown"
    SUCCEEDED = "succeeded"
    REJECTED = "rejected"
    REVERSED = "reversed"


class RefundCause(StrEnum):
    """Why money goes back: somebody of the shop asked, an order could not keep it, or the gateway's own staff did."""

    REQUESTED = "requested"
    LATE_PAYMENT = "late_payment"
    DOUBLE_PAYMENT = "double_payment"
    SURPLUS = "surplus"
    UNDERPAID = "underpaid"
    CANCELLED = "cancelled"
    EXTERNAL = "external"


class LedgerAccount(StrEnum):
    """The accounts of the ledger. Receivable, refunds and fees grow by debits, liability and revenue by credits."""

    GATEWAY_RECEIVABLE = "gateway_receivable"
    CUSTOMER_LIABILITY = "customer_liability"
    REVENUE = "revenue"
    REFUNDS = "refunds"
    FEES = "fees"


class PostingKind(StrEnum):
    """The facts that are written into the ledger; a refund of what was sold already is told apart."""

    CAPTURE = "capture"
    FEE = "fee"
    SALE = "sale"
    REFUND = "refund"
    REFUND_OF_SALE = "refund_of_sale"
    REVERSAL = "reversal"
    REVERSAL_OF_SALE = "reversal_of_sale"


class FindingKind(StrEnum):
    """In what a gateway's books and ours can differ, and ours among themselves."""

    PAID_UNKNOWN_HERE = "paid_unknown_here"
    PAID_UNSETTLED_HERE = "paid_unsettled_here"
    UNPAID_THERE = "unpaid_there"
    MISSING_THERE = "missing_there"
    AMOUNT_MISMATCH = "amount_mismatch"
    SESSION_DIFFERS = "session_differs"
    DOUBLE_CHARGE = "double_charge"
    PAID_WITHOUT_ORDER = "paid_without_order"
    ORDER_WITHOUT_MONEY = "order_without_money"
    REFUND_UNKNOWN_HERE = "refund_unknown_here"
    REFUND_DIFFERS = "refund_differs"
    REFUND_MISSING_THERE = "refund_missing_there"
    LEDGER_DIFFERS = "ledger_differs"


class FindingState(StrEnum):
    """What became of a finding: mended by us, no longer there when looked for again, or waved through by a person."""

    OPEN = "open"
    FIXED = "fixed"
    GONE = "gone"
    DISMISSED = "dismissed"


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
_R = RefundStatus

REFUND_TRANSITIONS: dict[RefundStatus, frozenset[RefundStatus]] = {
    _R.REQUESTED: frozenset({_R.SUBMITTED}),
    _R.SUBMITTED: frozenset({_R.UNKNOWN, _R.SUCCEEDED, _R.REJECTED}),
    # The gateway did not answer; the same key asks again.
    _R.UNKNOWN: frozenset({_R.SUBMITTED, _R.SUCCEEDED, _R.REJECTED}),
    # The bank sent the money back to the shop.
    _R.SUCCEEDED: frozenset({_R.REVERSED}),
    _R.REJECTED: frozenset(),
    _R.REVERSED: frozenset(),
}
# Money an order cannot keep: nobody of the shop has to ask for it, and nobody has to ask again.
DUE = frozenset(
    {
        RefundCause.LATE_PAYMENT,
        RefundCause.DOUBLE_PAYMENT,
        RefundCause.SURPLUS,
        RefundCause.UNDERPAID,
        RefundCause.CANCELLED,
    }
)
# In these the amount is kept on the attempt (`refund_held`).
HOLDING = frozenset({_R.REQUESTED, _R.SUBMITTED, _R.UNKNOWN, _R.SUCCEEDED})

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


_REFUND_MEANING = {
    RefundState.PENDING: _R.SUBMITTED,
    RefundState.SUCCEEDED: _R.SUCCEEDED,
    RefundState.REJECTED: _R.REJECTED,
    RefundState.REVERSED: _R.REVERSED,
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


def check_refund_move(current: RefundStatus, wanted: RefundStatus) -> None:
    """Refuse a move the table does not hold, with IllegalTransition."""
    if wanted not in REFUND_TRANSITIONS[current]:
        raise IllegalTransition(entity="A refund", current=current, wanted=wanted)


def refund_moves_to(current: RefundStatus, word: RefundState) -> tuple[RefundStatus, ...]:
    """Return the moves that bring a refund to the gateway's word: none, or those it made while nobody looked.

    A refund that ended here is only ever corrected from `succeeded` to `reversed`: rejected and reversed are final.
    """
    wanted = _REFUND_MEANING[word]
    if wanted == current or current in {_R.REJECTED, _R.REVERSED}:
        return ()
    if current is _R.SUCCEEDED:
        # There are gateways that call it failed, whether or not it had been fine before.
        return (_R.REVERSED,) if wanted in {_R.REVERSED, _R.REJECTED} else ()
    path: list[RefundStatus] = []
    if current is _R.REQUESTED:
        path.append(_R.SUBMITTED)
    if wanted is _R.REVERSED:
        path.append(_R.SUCCEEDED)
    if wanted not in path:
        path.append(wanted)
    return tuple(path)
