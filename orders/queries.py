"""Reads of orders. Each is one statement whatever the number of orders or lines."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from django.conf import settings
from django.db.models import Min, Q
from django.utils.module_loading import import_string

from orders.dto import MailLine, MailOrder, OrderView, PayableOrder, TimelineEntry
from orders.errors import OrderNotFound
from orders.models import Capture, Order
from orders.ports import MoneyGoingBack
from orders.states import PaymentStatus, Status
from shop.kernel.ids import as_uuid, normal_order_number
from shop.kernel.money import Money
from shop.kernel.priced import PricedLine, Totals
from shop.kernel.rows import rows_of
from shop.kernel.stories import Moment, Story, clock_text

_NEWEST = UUID(int=2**128 - 1)

# An order and its lines as one row, so that a page of orders is one statement and no row is repeated per line.
_COLUMNS = """
    o.id, o.number, o.user_id, o.guest, o.status, o.payment_status, o.needs_review, o.currency,
    o.subtotal_minor, o.discount_minor, o.shipping_minor, o.tax_minor, o.total_minor, o.captured_minor,
    o.refunded_minor,
    o.email, o.language, o.shipping_address, o.billing_address, o.shipping_method,
    o.payment_deadline, o.tracking, o.created_at, o.updated_at,
    (SELECT jsonb_agg(jsonb_build_array(l.sku, l.name, l.quantity, l.unit_price_minor, l.discount_minor,
                                        l.tax_minor, l.line_total_minor) ORDER BY l.position)
     FROM orders_line l WHERE l.order_id = o.id) AS lines
"""
_TIMELINE = """
    (SELECT jsonb_agg(jsonb_build_array(e.at, e.type, e.detail) ORDER BY e.at, e.id)
     FROM orders_entry e WHERE e.order_id = o.id) AS timeline
"""
_ONE = f"SELECT {_COLUMNS}, {_TIMELINE} FROM orders_order o"  # noqa: S608  constants of this file
_SEVERAL = f"SELECT {_COLUMNS}, NULL AS timeline FROM orders_order o"  # noqa: S608  constants of this file
_PAYABLE = "SELECT id, number, user_id, guest, status, total_minor, currency, payment_deadline FROM orders_order"
# What becomes of money for an expired order, by `ORDER_LATE_MONEY`.
_LATE_MONEY = {
    "revive": "Money that still comes revives the order if its stock can be had again, else it goes back.",
    "refund": "Money that still comes goes back.",
    "review": "Money that still comes is kept until a person has decided.",
}


def order(*, order_id: UUID, user_id: UUID | None) -> OrderView:
    """Return an order with its timeline; `user_id` None reads anybody's. OrderNotFound when it is not theirs."""
    return _one(_ONE + " WHERE o.id = %s AND (%s::uuid IS NULL OR o.user_id = %s::uuid)", [order_id, user_id, user_id])


def order_of_checkout(*, checkout_id: UUID, user_id: UUID) -> OrderView:
    """Return the one order this shopper's checkout became; OrderNotFound when there is none."""
    return _one(_ONE + " WHERE o.checkout_id = %s AND o.user_id = %s", [checkout_id, user_id])


def orders_of(
    *, user_id: UUID, limit: int, after: UUID | None = None, before: UUID | None = None
) -> Sequence[OrderView]:
    """Return up to `limit` of a shopper's orders, newest first, that follow `after` in that order.

    With `before`, the ones just above it, nearest first, as a page read backwards needs them.
    """
    if before is not None:
        where, place = " WHERE o.user_id = %s AND o.id > %s ORDER BY o.id ASC LIMIT %s", before
    else:
        where, place = " WHERE o.user_id = %s AND o.id < %s ORDER BY o.id DESC LIMIT %s", after or _NEWEST
    return [_view(row) for row in rows_of(_SEVERAL + where, [user_id, place, limit])]


def is_given_back(*, order: Order) -> bool:
    """Say whether all the money an order took has gone back, or is on its way: a gateway may take days.

    What the order has declared due back is on its way, also before payments have heard of it.
    """
    if order.payment_status == PaymentStatus.REFUNDED:
        return True
    going_back: MoneyGoingBack = import_string(settings.MONEY_GOING_BACK)
    back = going_back(order_id=order.pk)
    taken = Capture.objects.filter(order=order, currency=order.currency)
    return bool(taken) and all(
        capture.amount_minor <= max(capture.due_back_minor, back.get(capture.pk, 0)) for capture in taken
    )


def find(*, text: str) -> UUID | None:
    """Return the order a person means: by its number, however it is typed, or its id; None when there is none."""
    known = Q(number=normal_order_number(text) or text)
    if order_id := as_uuid(text):
        known |= Q(pk=order_id)
    found: UUID | None = Order.objects.filter(known).values_list("pk", flat=True).first()
    return found


def story(*, order_id: UUID, now: datetime) -> Story:
    """Tell the order's own timeline, and what it waits for."""
    told = order(order_id=order_id, user_id=None)
    moments = (
        Moment(entry.at, "order", f"{entry.type}: {entry.detail}" if entry.detail else entry.type)
        for entry in told.timeline or ()
    )
    coming = []
    if told.status == Status.PENDING_PAYMENT:
        verb = "waits for its money until" if now < told.payment_deadline else "should have had its money by"
        coming.append(
            f"The order {verb} {clock_text(told.payment_deadline)}; then its session is closed and it expires."
        )
    if told.status == Status.PAID and is_given_back(order=Order.objects.get(pk=order_id)):
        coming.append("All money has gone back, or is on its way: the order can be cancelled, and not be sent.")
    elif told.status == Status.PAID:
        coming.append("The order can be sent, or cancelled, which gives its money back.")
    if told.status == Status.EXPIRED:
        coming.append(_LATE_MONEY[settings.ORDER_LATE_MONEY])
    if told.needs_review:
        coming.append("A person has to look at it: Admin > Orders.")
    return Story(moments=tuple(moments), next=tuple(coming))


def payable(*, order_id: UUID) -> PayableOrder | None:
    """Return what payments must know to ask for an order's money, in whatever state the order is."""
    return payables(order_ids=[order_id]).get(order_id)


def payables(*, order_ids: Sequence[UUID]) -> dict[UUID, PayableOrder]:
    """Return what payments must know of several orders; those there are not are missing from the answer."""
    rows = rows_of(f"{_PAYABLE} WHERE id = ANY(%s::uuid[])", [list(order_ids)])
    return {row["id"]: _payable(row) for row in rows}


def due_back(*, order_id: UUID) -> dict[UUID, Money]:
    """Return, payment by payment, what the order has said it cannot keep; payments it keeps are missing."""
    captures = Capture.objects.filter(order_id=order_id, due_back_minor__gt=0)
    return {capture.payment_id: Money(capture.due_back_minor, capture.currency) for capture in captures}


def taken_as_paid(*, since: datetime, limit: int, after: UUID | None = None) -> list[PayableOrder]:
    """Return up to `limit` orders placed since then that count as paid and cost something, by id, following `after`."""
    where = """
        WHERE created_at >= %s AND status IN ('paid', 'fulfilled') AND total_minor > 0
          AND (%s::uuid IS NULL OR id > %s::uuid)
        ORDER BY id LIMIT %s
    """
    return [_payable(row) for row in rows_of(_PAYABLE + where, [since, after, after, limit])]


def closed_with_money(*, since: datetime, until: datetime, limit: int, after: UUID | None = None) -> list[UUID]:
    """Return up to `limit` orders that ended unsold, had money and last changed in this time, by id, after `after`.

    What became of their refunds changes them, too.
    """
    # The words stand in the statement: a prepared one finds the small index by them only.
    statement = """
        SELECT id FROM orders_order
        WHERE status IN ('expired', 'cancelled') AND captured_minor > 0 AND updated_at BETWEEN %s AND %s
          AND (%s::uuid IS NULL OR id > %s::uuid)
        ORDER BY id LIMIT %s
    """
    return [row["id"] for row in rows_of(statement, [since, until, after, after, limit])]


def mail_order(*, order_id: UUID) -> MailOrder | None:
    """Return what a mail says about an order: the one read that hands a person's data to another context."""
    try:
        found = _one(_SEVERAL + " WHERE o.id = %s", [order_id])
    except OrderNotFound:
        return None
    return MailOrder(
        order_id=found.order_id,
        number=found.number,
        email=found.email,
        language=found.language,
        lines=tuple(
            MailLine(name=line.name, quantity=line.quantity, unit_price=line.unit_price, line_total=line.line_total)
            for line in found.lines
        ),
        subtotal=found.totals.subtotal,
        discount=found.totals.discount,
        shipping=found.totals.shipping,
        tax=found.totals.tax,
        total=found.totals.total,
        captured=found.captured,
        shipping_address=found.shipping_address,
        payment_deadline=found.payment_deadline,
        tracking=found.tracking,
        created_at=found.created_at,
    )


def overdue(*, now: datetime, limit: int, after: UUID | None = None) -> list[UUID]:
    """Return orders still waiting for money after their deadline, the longest overdue first.

    `after` is the last order of the page before; it may have left the list meanwhile.
    """
    waiting = Order.objects.filter(status=Status.PENDING_PAYMENT.value, payment_deadline__lt=now)
    if after is not None:
        deadline = Order.objects.values_list("payment_deadline", flat=True).get(pk=after)
        waiting = waiting.filter(Q(payment_deadline__gt=deadline) | Q(payment_deadline=deadline, pk__gt=after))
    return list(waiting.order_by("payment_deadline", "pk").values_list("pk", flat=True)[:limit])


def in_review() -> int:
    """Count the orders that wait for a person."""
    return Order.objects.filter(needs_review=True).count()


def due_since() -> datetime | None:
    """Return the first deadline of the orders that wait for their money; None when none waits."""
    waiting = Order.objects.filter(status=Status.PENDING_PAYMENT.value)
    deadline: datetime | None = waiting.aggregate(at=Min("payment_deadline"))["at"]
    return deadline


def _one(statement: str, parameters: list[UUID | None]) -> OrderView:
    rows = rows_of(statement, parameters)
    if not rows:
        raise OrderNotFound
    return _view(rows[0])


def _view(row: dict[str, Any]) -> OrderView:
    def money(name: str) -> Money:
        return Money(row[f"{name}_minor"], row["currency"])

    return OrderView(
        order_id=row["id"],
        number=row["number"],
        user_id=row["user_id"],
        guest=row["guest"],
        status=row["status"],
        payment_status=row["payment_status"],
        needs_review=row["needs_review"],
        lines=_lines(row["lines"], currency=row["currency"]),
        totals=Totals(
            subtotal=money("subtotal"),
            discount=money("discount"),
            shipping=money("shipping"),
            tax=money("tax"),
            total=money("total"),
        ),
        captured=money("captured"),
        refunded=money("refunded"),
        email=row["email"],
        language=row["language"],
        shipping_address=msgspec.json.decode(row["shipping_address"]),
        billing_address=msgspec.json.decode(row["billing_address"]),
        shipping_method=row["shipping_method"],
        payment_deadline=row["payment_deadline"],
        tracking=row["tracking"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        timeline=_timeline(row["timeline"]),
    )


def _payable(row: dict[str, Any]) -> PayableOrder:
    return PayableOrder(
        order_id=row["id"],
        number=row["number"],
        user_id=row["user_id"],
        guest=row["guest"],
        status=row["status"],
        total=Money(row["total_minor"], row["currency"]),
        payment_deadline=row["payment_deadline"],
    )


def _lines(document: str, *, currency: str) -> tuple[PricedLine, ...]:
    return tuple(
        PricedLine(
            sku=sku,
            name=name,
            quantity=quantity,
            unit_price=Money(unit_price, currency),
            discount=Money(discount, currency),
            tax=Money(tax, currency),
            line_total=Money(line_total, currency),
        )
        for sku, name, quantity, unit_price, discount, tax, line_total in msgspec.json.decode(document)
    )


def _timeline(document: str | None) -> tuple[TimelineEntry, ...] | None:
    if document is None:
        return None
    return tuple(
        TimelineEntry(at=datetime.fromisoformat(at), type=kind, detail=detail)
        for at, kind, detail in msgspec.json.decode(document)
    )
