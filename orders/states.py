"""The life of an order: its status words and the one table of moves."""

from enum import StrEnum

from shop.kernel.errors import IllegalTransition


class Status(StrEnum):
    """Where an order stands."""

    PENDING_PAYMENT = "pending_payment"
    PAID = "paid"
    FULFILLED = "fulfilled"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


class PaymentStatus(StrEnum):
    """What the money says. The database derives it from total, captured and refunded: see `Order.payment_status`."""

    UNPAID = "unpaid"
    PENDING = "pending"
    PAID = "paid"
    OVERPAID = "overpaid"
    PARTIALLY_REFUNDED = "partially_refunded"
    REFUNDED = "refunded"


class EntryType(StrEnum):
    """What a timeline entry tells."""

    PLACED = "placed"
    PAID = "paid"
    PART_PAID = "part_paid"
    PAYMENT_FAILED = "payment_failed"
    REVIVED = "revived"
    REFUND_DUE = "refund_due"
    REFUNDED = "refunded"
    REFUND_REJECTED = "refund_rejected"
    REFUND_REVERSED = "refund_reversed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    FULFILLED = "fulfilled"
    NEEDS_REVIEW = "needs_review"
    REVIEWED = "reviewed"


# `expired -> paid` is late money whose stock could be had again. Late money never revives a cancelled order.
TRANSITIONS: dict[Status, frozenset[Status]] = {
    Status.PENDING_PAYMENT: frozenset({Status.PAID, Status.EXPIRED, Status.CANCELLED}),
    Status.PAID: frozenset({Status.FULFILLED, Status.CANCELLED}),
    Status.FULFILLED: frozenset(),
    Status.EXPIRED: frozenset({Status.PAID}),
    Status.CANCELLED: frozenset(),
}

# A paid order is called off by staff only: that takes money back out of the till.
SHOPPER_CANCELS_FROM = frozenset({Status.PENDING_PAYMENT})


def check_move(*, current: str, wanted: Status) -> None:
    """Raise IllegalTransition unless the table of moves holds this one."""
    if wanted not in TRANSITIONS[Status(current)]:
        raise IllegalTransition(entity="An order", current=current, wanted=wanted)


def check_cancel(*, current: str, by_staff: bool) -> None:
    """Raise IllegalTransition unless this caller may cancel an order that stands here."""
    if not by_staff and current not in SHOPPER_CANCELS_FROM:
        raise IllegalTransition(entity="An order", current=current, wanted=Status.CANCELLED)
    check_move(current=current, wanted=Status.CANCELLED)
