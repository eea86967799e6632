"""The ends of an order: called off, run out, sent; and the flag that asks a person to look."""

from datetime import datetime
from uuid import UUID

import structlog

from orders.dto import Expiry, OrderView
from orders.errors import OrderNotFound, OrderRefunded
from orders.events import OrderCancelled, OrderExpired, OrderFulfilled
from orders.queries import is_given_back
from orders.queries import order as read_order
from orders.services.money import give_back_what_was_kept
from orders.services.moves import change, locked, move, tell
from orders.states import EntryType, Status, check_cancel, check_move
from shop.inventory import services as stock
from shop.kernel.auth.dto import Caller
from shop.kernel.money import Money
from shop.kernel.outbox.services import publish
from shop.kernel.transactions import unit_of_work

log = structlog.get_logger(__name__)


@unit_of_work
def cancel(*, caller: Caller, order_id: UUID, reason: str, now: datetime) -> OrderView:
    """Call an order off and free its stock: shoppers their own unpaid ones, staff any that is not yet sent.

    Money that was taken becomes due back. What the caller wrote as `reason` may name people, so it stays on
    the order; timeline and event tell only who asked. OrderNotFound, IllegalTransition.
    """
    order = locked(order_id=order_id)
    if not caller.staff and order.user_id != caller.id:
        raise OrderNotFound
    check_cancel(current=order.status, by_staff=caller.staff)
    was_paid = order.status == Status.PAID
    asked_by = "requested_by_staff" if caller.staff else "requested_by_shopper"
    move(order, wanted=Status.CANCELLED, now=now, entry=EntryType.CANCELLED, detail=asked_by, cancel_reason=reason)
    if was_paid:
        stock.restock(reservation_id=order.checkout_id)
    else:
        stock.release(reservation_id=order.checkout_id)
    publish(
        OrderCancelled(
            occurred_at=now,
            order_id=order.pk,
            number=order.number,
            user_id=order.user_id,
            guest=order.guest,
            total=Money(order.total_minor, order.currency),
            reason=asked_by,
            was_paid=was_paid,
        )
    )
    give_back_what_was_kept(order, reason="cancelled", now=now)
    log.info("order.cancelled", order_id=str(order_id), was_paid=was_paid, by_staff=caller.staff)
    return read_order(order_id=order_id, user_id=None)


@unit_of_work
def expire(*, order_id: UUID, now: datetime) -> Expiry:
    """Close an order nobody has paid by its deadline and free its stock; say so when there is nothing to close.

    Payments call this once every attempt is closed at the gateway.
    """
    order = locked(order_id=order_id)
    if order.status != Status.PENDING_PAYMENT:
        return Expiry.ALREADY_CLOSED
    if order.payment_deadline > now:
        return Expiry.NOT_DUE
    move(order, wanted=Status.EXPIRED, now=now, entry=EntryType.EXPIRED)
    stock.release(reservation_id=order.checkout_id)
    publish(
        OrderExpired(
            occurred_at=now,
            order_id=order.pk,
            number=order.number,
            user_id=order.user_id,
            guest=order.guest,
            total=Money(order.total_minor, order.currency),
        )
    )
    give_back_what_was_kept(order, reason="underpaid", now=now)
    log.info("order.expired", order_id=str(order_id))
    return Expiry.EXPIRED


@unit_of_work
def fulfil(*, order_id: UUID, tracking: str, now: datetime) -> OrderView:
    """Note that a paid order's goods are on their way; what went back in part can be sent.

    OrderNotFound, IllegalTransition, OrderRefunded.
    """
    order = locked(order_id=order_id)
    check_move(current=order.status, wanted=Status.FULFILLED)
    if is_given_back(order=order):
        raise OrderRefunded
    move(order, wanted=Status.FULFILLED, now=now, entry=EntryType.FULFILLED, detail=tracking, tracking=tracking)
    publish(
        OrderFulfilled(
            occurred_at=now,
            order_id=order.pk,
            number=order.number,
            user_id=order.user_id,
            guest=order.guest,
            tracking=tracking,
        )
    )
    log.info("order.fulfilled", order_id=str(order_id))
    return read_order(order_id=order_id, user_id=None)


@unit_of_work
def mark_reviewed(*, order_id: UUID, now: datetime) -> None:
    """Take the review flag off an order a person has looked at; an order without the flag stays untouched."""
    order = locked(order_id=order_id)
    if order.needs_review:
        change(order, now=now, needs_review=False)
        tell(order, now=now, entry=EntryType.REVIEWED)
