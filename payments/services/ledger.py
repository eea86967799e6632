"""The ledger: every fact about money once, debited and credited in the same row, in the fact's own transaction.

| fact | debit | credit |
|---|---|---|
| capture | gateway_receivable | customer_liability |
| fee, where the gateway tells it | fees | gateway_receivable |
| sale: the order was fulfilled | customer_liability | revenue |
| refund, of money the order has not been sold for | customer_liability | gateway_receivable |
| refund_of_sale: of money that was revenue already | refunds | gateway_receivable |
| reversal, reversal_of_sale: the bank sent a refund back | what the refund credited | what it debited |

Captures and fees are written by the one mover of attempts, in its own statement (`payments.services.moves`).
"""

from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from django.db import connection

from payments.models import Posting
from payments.queries import RefundRow
from payments.states import LedgerAccount, PostingKind
from shop.kernel.ids import new_id
from shop.kernel.money import Money
from shop.kernel.transactions import joins_unit_of_work, unit_of_work

log = structlog.get_logger(__name__)

# What the order still owes its customer: captured, neither sold nor given back.
_OWED = """
SELECT COALESCE(SUM(CASE credit WHEN 'customer_liability' THEN amount ELSE -amount END), 0)::bigint AS amount
FROM payments_posting
WHERE order_id = %(order_id)s::uuid AND currency = %(currency)s::text
  AND 'customer_liability' IN (debit, credit)
"""
# A refund told twice finds its first posting; without that look the second would go against the other account.
_REFUND = f"""
WITH owed AS ({_OWED}), part (id, kind, debit, amount) AS (
    SELECT %(refund_posting)s::uuid, 'refund', 'customer_liability', LEAST(owed.amount, %(amount)s::bigint) FROM owed
    UNION ALL
    SELECT %(of_sale_posting)s::uuid, 'refund_of_sale', 'refunds',
           %(amount)s::bigint - GREATEST(LEAST(owed.amount, %(amount)s::bigint), 0) FROM owed
)
INSERT INTO payments_posting (id, kind, source_id, order_id, attempt_id, gateway, debit, credit, amount, currency, at)
SELECT part.id, part.kind, %(refund_id)s::uuid, %(order_id)s::uuid, %(attempt_id)s::uuid, %(gateway)s::text,
       part.debit, 'gateway_receivable', part.amount, %(currency)s::text, %(now)s::timestamptz
FROM part
WHERE part.amount > 0 AND NOT EXISTS (
    SELECT FROM payments_posting WHERE kind IN ('refund', 'refund_of_sale') AND source_id = %(refund_id)s::uuid
)
ON CONFLICT (kind, source_id) DO NOTHING
"""  # noqa: S608  constants
_REVERSAL = """
INSERT INTO payments_posting (id, kind, source_id, order_id, attempt_id, gateway, debit, credit, amount, currency, at)
SELECT CASE kind WHEN 'refund' THEN %(refund_posting)s::uuid ELSE %(of_sale_posting)s::uuid END,
       CASE kind WHEN 'refund' THEN 'reversal' ELSE 'reversal_of_sale' END,
       source_id, order_id, attempt_id, gateway, credit, debit, amount, currency, %(now)s::timestamptz
FROM payments_posting
WHERE kind IN ('refund', 'refund_of_sale') AND source_id = %(refund_id)s::uuid
ON CONFLICT (kind, source_id) DO NOTHING
"""
_MISSING_CAPTURE = """
INSERT INTO payments_posting (id, kind, source_id, order_id, attempt_id, gateway, debit, credit, amount, currency, at)
SELECT %(posting_id)s::uuid, 'capture', id, order_id, id, gateway, 'gateway_receivable', 'customer_liability', captured,
       currency, moved_at
FROM payments_attempt WHERE id = %(attempt_id)s::uuid AND captured > 0
ON CONFLICT (kind, source_id) DO NOTHING
"""
# What came for the order and is not promised back, under the locks of payable and attempts.
_TO_SELL = """
WITH payable AS (
    SELECT order_id, amount AS price FROM payments_payable WHERE order_id = %(order_id)s::uuid FOR UPDATE
)
SELECT attempt.id, attempt.gateway, attempt.currency, attempt.captured - attempt.refund_held, payable.price
FROM payable JOIN payments_attempt attempt USING (order_id)
WHERE attempt.captured > attempt.refund_held
  AND NOT EXISTS (SELECT FROM payments_posting sale WHERE sale.order_id = payable.order_id AND sale.kind = 'sale')
ORDER BY attempt.id
FOR UPDATE OF attempt
"""


@joins_unit_of_work
def post_refund(*, refund: RefundRow, now: datetime) -> None:
    """Write that the refund's money has gone back, once; the caller holds the payable's lock.

    It is taken from what the order still owes its customer, and the rest from what it was sold for.
    """
    with connection.cursor() as cursor:
        cursor.execute(_REFUND, _of_refund(refund, now))
        _note("ledger.refund", cursor.rowcount, refund)


@joins_unit_of_work
def post_reversal(*, refund: RefundRow, now: datetime) -> None:
    """Write the opposite of everything the refund wrote, once; the caller holds the payable's lock."""
    with connection.cursor() as cursor:
        cursor.execute(_REVERSAL, _of_refund(refund, now))
        _note("ledger.reversal", cursor.rowcount, refund)


@joins_unit_of_work
def post_sale(*, order_id: UUID, now: datetime) -> None:
    """Turn what a fulfilled order owes its customer into revenue, once.

    An order is sold for its price at most: of two payments the second stays the customer's. What refunds hold is
    left out, for it is promised back.
    """
    with connection.cursor() as cursor:
        cursor.execute(_TO_SELL, {"order_id": order_id})
        captured = cursor.fetchall()
    sales, unsold = [], captured[0][-1] if captured else 0
    for attempt_id, gateway, currency, kept, _ in captured:
        amount = min(kept, unsold)
        unsold -= amount
        if amount:
            sales.append(_sale(order_id, attempt_id, gateway, Money(amount, currency), now))
    if sales:
        Posting.objects.bulk_create(sales, ignore_conflicts=True)
    log.info("ledger.sale", order_id=str(order_id), postings=len(sales))


@unit_of_work
def post_missing_capture(*, attempt_id: UUID) -> bool:
    """Write what an attempt has captured if the ledger lacks it, dated when it came; say whether it did.

    Captures are written with the attempt; only one that was settled by a release without a ledger can be missing.
    """
    with connection.cursor() as cursor:
        cursor.execute(_MISSING_CAPTURE, {"posting_id": new_id(), "attempt_id": attempt_id})
        posted: bool = cursor.rowcount == 1
    log.warning("ledger.capture_added", payment_id=str(attempt_id), posted=posted)
    return posted


def _sale(order_id: UUID, attempt_id: UUID, gateway: str, amount: Money, now: datetime) -> Posting:
    return Posting(
        kind=PostingKind.SALE.value,
        source_id=attempt_id,
        order_id=order_id,
        attempt_id=attempt_id,
        gateway=gateway,
        debit=LedgerAccount.CUSTOMER_LIABILITY.value,
        credit=LedgerAccount.REVENUE.value,
        amount=amount.amount,
        currency=amount.currency,
        at=now,
    )


def _of_refund(refund: RefundRow, now: datetime) -> dict[str, Any]:
    return {
        "refund_id": refund.id,
        "order_id": refund.order_id,
        "attempt_id": refund.attempt_id,
        "gateway": refund.gateway,
        "amount": refund.amount,
        "currency": refund.currency,
        "refund_posting": new_id(),
        "of_sale_posting": new_id(),
        "now": now,
    }


def _note(fact: str, postings: int, refund: RefundRow) -> None:
    """Say that something was written, or that it had been before."""
    log.info(fact, refund_id=str(refund.id), order_id=str(refund.order_id), postings=postings)
