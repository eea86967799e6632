"""One checkout becomes exactly one order."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings
from django.db import IntegrityError, connection
from psycopg import errors as postgres
from psycopg.types.json import Jsonb

from checkout import services as checkouts
from checkout.dto import FrozenCheckout
from checkout.errors import CheckoutAlreadyOrdered, CheckoutStale
from orders.dto import OrderView, Placed, TimelineEntry
from orders.errors import OrderNumbersTaken
from orders.events import OrderCreated, OrderedLine, OrderPaid
from orders.queries import order_of_checkout
from orders.states import EntryType, Status
from shop.inventory import services as stock
from shop.kernel.auth.dto import Caller
from shop.kernel.ids import new_id, new_order_number
from shop.kernel.outbox.services import publish
from shop.kernel.transactions import unit_of_work

log = structlog.get_logger(__name__)

_ONE_PER_CHECKOUT = "orders_order_one_per_checkout"

# Order, lines and the timeline's beginning in one statement. A number that is taken inserts nothing and says so by
# an empty answer, where a violated constraint would have cost the whole transaction.
_INSERT = """
WITH placed AS (
    INSERT INTO orders_order (
        id, number, checkout_id, user_id, guest, status, currency, subtotal_minor, discount_minor,
        shipping_minor, tax_minor, total_minor, prices_include_tax, email, language, shipping_address,
        billing_address, shipping_method, payment_deadline, created_at, updated_at)
    VALUES (
        %(id)s, %(number)s, %(checkout_id)s, %(user_id)s, %(guest)s, %(status)s, %(currency)s, %(subtotal)s,
        %(discount)s, %(shipping)s, %(tax)s, %(total)s, %(prices_include_tax)s, %(email)s, %(language)s,
        %(shipping_address)s::jsonb, %(billing_address)s::jsonb, %(shipping_method)s, %(payment_deadline)s,
        %(now)s::timestamptz, %(now)s::timestamptz)
    ON CONFLICT (number) DO NOTHING
    RETURNING id, payment_status
), lined AS (
    INSERT INTO orders_line (order_id, position, sku, name, quantity, unit_price_minor, discount_minor,
                             tax_minor, line_total_minor)
    SELECT placed.id, line.position, line.sku, line.name, line.quantity, line.unit_price, line.discount, line.tax,
           line.line_total
    FROM placed, unnest(%(skus)s::text[], %(names)s::text[], %(quantities)s::int[], %(unit_prices)s::bigint[],
                        %(discounts)s::bigint[], %(taxes)s::bigint[], %(line_totals)s::bigint[])
         WITH ORDINALITY AS line (sku, name, quantity, unit_price, discount, tax, line_total, position)
), told AS (
    INSERT INTO orders_entry (order_id, id, at, type, detail)
    SELECT placed.id, entry.id, %(now)s::timestamptz, entry.type, entry.detail
    FROM placed, unnest(%(entry_ids)s::uuid[], %(entry_types)s::text[], %(entry_details)s::text[])
         AS entry (id, type, detail)
)
SELECT payment_status FROM placed
"""


@dataclass(frozen=True, slots=True)
class _Made:
    """What placing adds to the checkout it freezes for good."""

    order_id: UUID
    number: str
    status: Status
    payment_status: str
    deadline: datetime
    at: datetime
    timeline: tuple[TimelineEntry, ...]


def place(*, caller: Caller, checkout_id: UUID, quote_hash: str | None, now: datetime) -> Placed:
    """Turn the caller's checkout into its one order; a repeated call answers with the order that is there.

    An order that costs nothing is paid at once: no payment could ever say so. All others wait for their money.
    Refusals of the checkout pass through: not found, expired, stale (which also releases it), another quote.
    """
    try:
        placed = _place(caller=caller, checkout_id=checkout_id, quote_hash=quote_hash, now=now)
    except CheckoutStale:
        # The refusal has rolled back; giving the checkout's stock back is a change that must stay.
        checkouts.release_stale(checkout_id=checkout_id)
        raise
    except IntegrityError as violation:
        if not _violates(violation, _ONE_PER_CHECKOUT):
            raise
        return Placed(order=order_of_checkout(checkout_id=checkout_id, user_id=caller.id), created=False)
    if placed.created:
        log.info("order.placed", order_id=str(placed.order.order_id), checkout_id=str(checkout_id))
    return placed


@unit_of_work
def _place(*, caller: Caller, checkout_id: UUID, quote_hash: str | None, now: datetime) -> Placed:
    try:
        frozen = checkouts.claim_for_order(checkout_id=checkout_id, user_id=caller.id, quote_hash=quote_hash, now=now)
    except CheckoutAlreadyOrdered:
        return Placed(order=order_of_checkout(checkout_id=checkout_id, user_id=caller.id), created=False)
    stock.allocate(reservation_id=checkout_id)
    order = _insert(frozen, now=now)
    publish(_created(order, now=now))
    if order.status == Status.PAID:
        stock.commit(reservation_id=checkout_id)
        publish(_paid_by_nobody(order, now=now))
        log.info("order.paid", order_id=str(order.order_id), payment_id=None)
    return Placed(order=order, created=True)


def _insert(frozen: FrozenCheckout, *, now: datetime) -> OrderView:
    order_id = new_id()
    deadline = now + timedelta(seconds=settings.PAYMENT_WINDOW_SECONDS)
    status = Status.PENDING_PAYMENT if frozen.totals.total else Status.PAID
    timeline = _beginning(status, at=now)
    parameters = {
        **_order_parameters(frozen),
        **_line_parameters(frozen),
        **_entry_parameters(timeline),
        "id": order_id,
        "status": status.value,
        "payment_deadline": deadline,
        "now": now,
    }
    for number in (new_order_number(), new_order_number()):
        with connection.cursor() as cursor:
            cursor.execute(_INSERT, {**parameters, "number": number})
            row = cursor.fetchone()
        if row is not None:
            made = _Made(
                order_id=order_id,
                number=number,
                status=status,
                payment_status=row[0],
                deadline=deadline,
                at=now,
                timeline=timeline,
            )
            return _view(frozen, made)
        log.warning("order.number_taken")
    raise OrderNumbersTaken


def _order_parameters(frozen: FrozenCheckout) -> dict[str, Any]:
    totals = frozen.totals
    return {
        "checkout_id": frozen.checkout_id,
        "user_id": frozen.user_id,
        "guest": frozen.guest,
        "currency": totals.total.currency,
        "subtotal": totals.subtotal.amount,
        "discount": totals.discount.amount,
        "shipping": totals.shipping.amount,
        "tax": totals.tax.amount,
        "total": totals.total.amount,
        "prices_include_tax": frozen.prices_include_tax,
        "email": frozen.email,
        "language": frozen.language,
        "shipping_address": Jsonb(frozen.shipping_address),
        "billing_address": Jsonb(frozen.billing_address),
        "shipping_method": frozen.shipping_method,
    }


def _line_parameters(frozen: FrozenCheckout) -> dict[str, Sequence[object]]:
    return {
        "skus": [line.sku for line in frozen.lines],
        "names": [line.name for line in frozen.lines],
        "quantities": [line.quantity for line in frozen.lines],
        "unit_prices": [line.unit_price.amount for line in frozen.lines],
        "discounts": [line.discount.amount for line in frozen.lines],
        "taxes": [line.tax.amount for line in frozen.lines],
        "line_totals": [line.line_total.amount for line in frozen.lines],
    }


def _beginning(status: Status, *, at: datetime) -> tuple[TimelineEntry, ...]:
    placed = TimelineEntry(at=at, type=EntryType.PLACED, detail="")
    if status is Status.PENDING_PAYMENT:
        return (placed,)
    return (placed, TimelineEntry(at=at, type=EntryType.PAID, detail="nothing to pay"))


def _entry_parameters(timeline: Sequence[TimelineEntry]) -> dict[str, Sequence[object]]:
    return {
        "entry_ids": [new_id() for _ in timeline],
        "entry_types": [str(entry.type) for entry in timeline],
        "entry_details": [entry.detail for entry in timeline],
    }


def _view(frozen: FrozenCheckout, made: _Made) -> OrderView:
    """Return the order as it now stands, without reading back what was just written."""
    return OrderView(
        order_id=made.order_id,
        number=made.number,
        user_id=frozen.user_id,
        guest=frozen.guest,
        status=made.status,
        payment_status=made.payment_status,
        needs_review=False,
        lines=frozen.lines,
        totals=frozen.totals,
        captured=frozen.totals.total * 0,
        refunded=frozen.totals.total * 0,
        email=frozen.email,
        language=frozen.language,
        shipping_address=frozen.shipping_address,
        billing_address=frozen.billing_address,
        shipping_method=frozen.shipping_method,
        payment_deadline=made.deadline,
        tracking="",
        created_at=made.at,
        updated_at=made.at,
        timeline=made.timeline,
    )


def _created(order: OrderView, *, now: datetime) -> OrderCreated:
    return OrderCreated(
        occurred_at=now,
        order_id=order.order_id,
        number=order.number,
        user_id=order.user_id,
        guest=order.guest,
        lines=tuple(
            OrderedLine(
                sku=line.sku,
                name=line.name,
                quantity=line.quantity,
                unit_price=line.unit_price,
                line_total=line.line_total,
            )
            for line in order.lines
        ),
        shipping=order.totals.shipping,
        tax=order.totals.tax,
        total=order.totals.total,
        payment_deadline=order.payment_deadline,
    )


def _paid_by_nobody(order: OrderView, *, now: datetime) -> OrderPaid:
    return OrderPaid(
        occurred_at=now,
        order_id=order.order_id,
        number=order.number,
        user_id=order.user_id,
        guest=order.guest,
        payment_id=None,
        total=order.totals.total,
    )


def _violates(violation: IntegrityError, constraint: str) -> bool:
    cause = violation.__cause__
    return isinstance(cause, postgres.UniqueViolation) and cause.diag.constraint_name == constraint
