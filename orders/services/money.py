"""Money that arrived for an order: it pays the order once, and what the order cannot keep is due back."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog
from django.conf import settings
from django.db import connection
from django.db.models import F, Sum

from orders.dto import MoneyTaken
from orders.errors import OrderNotFound
from orders.events import OrderPaid, OrderRefundDue
from orders.models import Capture, Order
from orders.services.moves import change, locked, move, tell
from orders.services.refunds import count_refunds
from orders.states import EntryType, Status
from shop.inventory import services as stock
from shop.inventory.errors import InsufficientStock
from shop.kernel.ids import new_id
from shop.kernel.money import Money
from shop.kernel.outbox.services import publish
from shop.kernel.transactions import current_unit_of_work, joins_unit_of_work

log = structlog.get_logger(__name__)

# The usual case in one statement: the first money of a waiting order is exactly its total. Whatever differs
# matches no row and takes the way that locks and looks.
_PAY_AT_ONCE = """
WITH paid AS (
    UPDATE orders_order
    SET status = 'paid', captured_minor = total_minor, payment_id = %(payment_id)s::uuid,
        updated_at = %(now)s::timestamptz
    WHERE id = %(order_id)s AND status = 'pending_payment' AND captured_minor = 0 AND total_minor > 0
      AND total_minor = %(amount)s AND currency = %(currency)s AND NOT refund_before_payment
    RETURNING id, number, checkout_id, user_id, guest, total_minor, currency
), captured AS (
    INSERT INTO orders_capture (payment_id, order_id, amount_minor, currency, at)
    SELECT %(payment_id)s::uuid, id, total_minor, currency, %(now)s::timestamptz FROM paid
), told AS (
    INSERT INTO orders_entry (order_id, id, at, type, detail)
    SELECT id, %(entry_id)s::uuid, %(now)s::timestamptz, 'paid', %(detail)s FROM paid
)
SELECT number, checkout_id, user_id, guest FROM paid
"""

# The event's own id is the entry's: the same event told twice appends nothing.
_NOTE_FAILURE = """
WITH known AS (
    UPDATE orders_order SET updated_at = %(now)s::timestamptz WHERE id = %(order_id)s RETURNING id
), told AS (
    INSERT INTO orders_entry (order_id, id, at, type, detail)
    SELECT id, %(event_id)s::uuid, %(now)s::timestamptz, 'payment_failed', %(detail)s FROM known
    ON CONFLICT (order_id, id) DO NOTHING
)
SELECT id FROM known
"""


@dataclass(frozen=True, slots=True)
class _ArrivedMoney:
    payment_id: UUID
    amount: Money
    now: datetime


@joins_unit_of_work
def mark_paid(*, order_id: UUID, payment_id: UUID, amount: Money, now: datetime) -> MoneyTaken:
    """Count a payment's captured money towards its order, once, and say what came of it.

    Money that covers a waiting order pays it and commits its stock. What becomes of late money, of an order that is
    expired or cancelled, `ORDER_LATE_MONEY` says. All else, a second payment, a surplus, is due back.
    OrderNotFound.
    """
    money = _ArrivedMoney(payment_id=payment_id, amount=amount, now=now)
    if _paid_at_once(order_id, money):
        return MoneyTaken.PAID
    order = locked(order_id=order_id)
    if Capture.objects.filter(pk=payment_id).exists():
        return MoneyTaken.ALREADY_COUNTED
    taken = _count(order, money)
    if order.refund_before_payment:
        count_refunds(order_id=order_id)
    return taken


@joins_unit_of_work
def note_failed_payment(*, order_id: UUID, event_id: UUID, reason: str, code: str, now: datetime) -> None:
    """Tell the timeline that an attempt brought no money; the order stays as it is and may be paid again.

    OrderNotFound.
    """
    detail = f"{reason} ({code})" if code and code != reason else reason
    with connection.cursor() as cursor:
        cursor.execute(_NOTE_FAILURE, {"order_id": order_id, "event_id": event_id, "detail": detail, "now": now})
        if cursor.fetchone() is None:
            raise OrderNotFound


def give_back_what_was_kept(order: Order, *, reason: str, now: datetime) -> None:
    """Say that all money a closed order has kept until now is due back, payment by payment."""
    kept = Capture.objects.filter(order=order, currency=order.currency, due_back_minor__lt=F("amount_minor"))
    for capture in kept:
        due = Money(capture.amount_minor - capture.due_back_minor, capture.currency)
        Capture.objects.filter(pk=capture.pk).update(due_back_minor=capture.amount_minor)
        _tell_refund_due(order, payment_id=capture.pk, due=due, reason=reason, now=now)


def _paid_at_once(order_id: UUID, money: _ArrivedMoney) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            _PAY_AT_ONCE,
            {
                "order_id": order_id,
                "payment_id": money.payment_id,
                "amount": money.amount.amount,
                "currency": money.amount.currency,
                "detail": str(money.amount),
                "entry_id": new_id(),
                "now": money.now,
            },
        )
        row = cursor.fetchone()
    if row is None:
        return False
    number, checkout_id, user_id, guest = row
    stock.commit(reservation_id=checkout_id)
    _tell_paid(
        OrderPaid(
            occurred_at=money.now,
            order_id=order_id,
            number=number,
            user_id=user_id,
            guest=guest,
            payment_id=money.payment_id,
            total=money.amount,
        )
    )
    return True


def _count(order: Order, money: _ArrivedMoney) -> MoneyTaken:
    if money.amount.currency != order.currency:
        return _set_aside(order, money)
    if order.status == Status.PENDING_PAYMENT:
        return _take_towards_total(order, money)
    if order.status in {Status.EXPIRED, Status.CANCELLED}:
        return _take_late(order, money)
    return _give_back_all(order, money, reason="double_payment")


def _take_late(order: Order, money: _ArrivedMoney) -> MoneyTaken:
    if settings.ORDER_LATE_MONEY == "review":
        return _keep_for_a_person(order, money)
    if settings.ORDER_LATE_MONEY == "revive" and order.status == Status.EXPIRED:
        return _revive_or_give_back(order, money)
    return _give_back_all(order, money, reason="late_payment")


def _take_towards_total(order: Order, money: _ArrivedMoney) -> MoneyTaken:
    covered = _kept(order) + money.amount
    total = Money(order.total_minor, order.currency)
    if covered < total:
        _record(order, money)
        change(order, now=money.now, captured_minor=order.captured_minor + money.amount.amount)
        tell(order, now=money.now, entry=EntryType.PART_PAID, detail=str(money.amount))
        return MoneyTaken.PART_PAID
    _pay(order, money, surplus=covered - total, entry=EntryType.PAID)
    return MoneyTaken.PAID


def _revive_or_give_back(order: Order, money: _ArrivedMoney) -> MoneyTaken:
    """Pay an expired order if its stock can be had again; otherwise a person looks and the money goes back."""
    surplus = _kept(order) + money.amount - Money(order.total_minor, order.currency)
    try:
        if surplus.amount >= 0:
            with current_unit_of_work().savepoint():
                stock.reallocate(reservation_id=order.checkout_id)
            _pay(order, money, surplus=surplus, entry=EntryType.REVIVED)
            return MoneyTaken.REVIVED
    except InsufficientStock:
        log.warning("order.stock_gone", order_id=str(order.pk), payment_id=str(money.payment_id))
    change(order, now=money.now, needs_review=True)
    return _give_back_all(order, money, reason="late_payment")


def _pay(order: Order, money: _ArrivedMoney, *, surplus: Money, entry: EntryType) -> None:
    _record(order, money, due_back=surplus)
    move(
        order,
        wanted=Status.PAID,
        now=money.now,
        entry=entry,
        detail=str(money.amount),
        captured_minor=order.captured_minor + money.amount.amount,
        payment_id=money.payment_id,
    )
    stock.commit(reservation_id=order.checkout_id)
    _tell_paid(
        OrderPaid(
            occurred_at=money.now,
            order_id=order.pk,
            number=order.number,
            user_id=order.user_id,
            guest=order.guest,
            payment_id=money.payment_id,
            total=Money(order.total_minor, order.currency),
        )
    )
    if surplus:
        _tell_refund_due(order, payment_id=money.payment_id, due=surplus, reason="surplus", now=money.now)


def _tell_paid(paid: OrderPaid) -> None:
    publish(paid)
    log.info("order.paid", order_id=str(paid.order_id), payment_id=str(paid.payment_id))


def _give_back_all(order: Order, money: _ArrivedMoney, *, reason: str) -> MoneyTaken:
    _record(order, money, due_back=money.amount)
    change(order, now=money.now, captured_minor=order.captured_minor + money.amount.amount)
    _tell_refund_due(order, payment_id=money.payment_id, due=money.amount, reason=reason, now=money.now)
    return MoneyTaken.REFUND_DUE


def _keep_for_a_person(order: Order, money: _ArrivedMoney) -> MoneyTaken:
    """Count money that came too late, and let a person decide what becomes of it."""
    _record(order, money)
    change(order, now=money.now, captured_minor=order.captured_minor + money.amount.amount, needs_review=True)
    tell(order, now=money.now, entry=EntryType.NEEDS_REVIEW, detail=f"{money.amount} came too late")
    log.warning("order.late_money_kept", order_id=str(order.pk), payment_id=str(money.payment_id))
    return MoneyTaken.SET_ASIDE


def _set_aside(order: Order, money: _ArrivedMoney) -> MoneyTaken:
    """Keep money of another currency out of the order's figures and ask a person to look."""
    _record(order, money)
    change(order, now=money.now, needs_review=True)
    tell(
        order,
        now=money.now,
        entry=EntryType.NEEDS_REVIEW,
        detail=f"{money.amount} came for an order in {order.currency}",
    )
    log.error("order.currency_differs", order_id=str(order.pk), payment_id=str(money.payment_id))
    return MoneyTaken.SET_ASIDE


def _kept(order: Order) -> Money:
    """Return the money the order has and has not declared due back."""
    captures = Capture.objects.filter(order=order, currency=order.currency)
    kept = captures.aggregate(kept=Sum(F("amount_minor") - F("due_back_minor")))["kept"]
    return Money(int(kept or 0), order.currency)


def _record(order: Order, money: _ArrivedMoney, *, due_back: Money | None = None) -> None:
    Capture.objects.create(
        payment_id=money.payment_id,
        order=order,
        amount_minor=money.amount.amount,
        currency=money.amount.currency,
        due_back_minor=due_back.amount if due_back else 0,
        at=money.now,
    )


def _tell_refund_due(order: Order, *, payment_id: UUID, due: Money, reason: str, now: datetime) -> None:
    tell(order, now=now, entry=EntryType.REFUND_DUE, detail=f"{due}: {reason}")
    publish(
        OrderRefundDue(
            occurred_at=now,
            order_id=order.pk,
            number=order.number,
            user_id=order.user_id,
            guest=order.guest,
            payment_id=payment_id,
            amount=due,
            reason=reason,
        )
    )
    log.warning("order.refund_due", order_id=str(order.pk), payment_id=str(payment_id), reason=reason)
