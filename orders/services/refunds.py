"""What the gateway says of money on its way back. The figure an order shows is derived from it, never added up."""

from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from django.db import connection

from orders.dto import RefundNews, RefundTold
from orders.services.moves import locked
from orders.states import EntryType
from shop.kernel.transactions import joins_unit_of_work

log = structlog.get_logger(__name__)

# Flags are only ever set, so that news may come in any order and again.
_KEEP = """
INSERT INTO orders_refund AS known (refund_id, order_id, payment_id, amount_minor, currency, succeeded, reversed, at)
VALUES (%(refund_id)s, %(order_id)s, %(payment_id)s, %(amount)s, %(currency)s, %(succeeded)s, %(reversed)s, %(now)s)
ON CONFLICT (refund_id) DO UPDATE
SET succeeded = known.succeeded OR EXCLUDED.succeeded, reversed = known.reversed OR EXCLUDED.reversed
"""
# A refund counts towards a payment that was counted, and no further than it: between two pieces of news a payment
# may seem to have given back more than it brought.
_FIGURES = """
refunded_minor = (
    SELECT coalesce(sum(least(back.minor, brought.amount_minor)), 0)
    FROM orders_capture brought
    JOIN (
        SELECT payment_id, sum(amount_minor) AS minor FROM orders_refund
        WHERE order_id = %(order_id)s AND succeeded AND NOT reversed
        GROUP BY payment_id
    ) back USING (payment_id)
    WHERE brought.order_id = %(order_id)s AND brought.currency = known.currency
),
refund_before_payment = EXISTS (
    SELECT FROM orders_refund back
    WHERE back.order_id = %(order_id)s
      AND NOT EXISTS (SELECT FROM orders_capture brought WHERE brought.payment_id = back.payment_id)
)
"""
_COUNT = f"UPDATE orders_order known SET {_FIGURES} WHERE known.id = %(order_id)s"  # noqa: S608  constants
# The event's own id is the entry's: the same event told twice neither appends nor asks a person again.
_TELL = f"""
WITH told AS (
    INSERT INTO orders_entry (order_id, id, at, type, detail)
    VALUES (%(order_id)s, %(event_id)s, %(now)s, %(type)s, %(detail)s)
    ON CONFLICT (order_id, id) DO NOTHING
    RETURNING id
)
UPDATE orders_order known
SET {_FIGURES}, updated_at = %(now)s, needs_review = known.needs_review OR %(review)s
FROM told
WHERE known.id = %(order_id)s
"""  # noqa: S608  constants

_ENTRIES = {
    RefundTold.SUCCEEDED: EntryType.REFUNDED,
    RefundTold.REJECTED: EntryType.REFUND_REJECTED,
    RefundTold.REVERSED: EntryType.REFUND_REVERSED,
}


@joins_unit_of_work
def note_refund(*, order_id: UUID, news: RefundNews, now: datetime) -> None:
    """Tell the timeline what became of a refund, and derive anew how much of the order's money has gone back.

    What was refused or came back asks for a person: the shopper does not have that money. OrderNotFound.
    """
    # Locked first: figures summed before another refund's news was committed would lose it.
    locked(order_id=order_id)
    parameters: dict[str, Any] = {
        "order_id": order_id,
        "event_id": news.event_id,
        "refund_id": news.refund_id,
        "payment_id": news.payment_id,
        "amount": news.amount.amount,
        "currency": news.amount.currency,
        "succeeded": news.told is RefundTold.SUCCEEDED,
        "reversed": news.told is RefundTold.REVERSED,
        "type": _ENTRIES[news.told].value,
        "detail": f"{news.amount}: {news.why}",
        "review": news.told is not RefundTold.SUCCEEDED,
        "now": now,
    }
    with connection.cursor() as cursor:
        if news.told is not RefundTold.REJECTED:
            cursor.execute(_KEEP, parameters)
        cursor.execute(_TELL, parameters)
    log.info("order.refund_told", order_id=str(order_id), refund_id=str(news.refund_id), told=news.told.value)


@joins_unit_of_work
def count_refunds(*, order_id: UUID) -> None:
    """Derive anew how much of a locked order's money has gone back: a payment was counted after its refund."""
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, {"order_id": order_id})
