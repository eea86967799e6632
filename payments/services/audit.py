"""Whether the ledger agrees with the rows it was written beside. Every check is one statement, whatever its size."""

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

import structlog
from django.db import connection

from payments.states import LedgerAccount
from shop.kernel.money import Money
from shop.kernel.transactions import unit_of_work

log = structlog.get_logger(__name__)

TIMEOUT_SECONDS = 600

# The accounts that grow by credits; a person reads what is in them as a positive number.
_BY_CREDITS = {LedgerAccount.CUSTOMER_LIABILITY, LedgerAccount.REVENUE}

_BALANCES = """
SELECT side.account, gateway, currency, SUM(side.amount)::bigint
FROM payments_posting
CROSS JOIN LATERAL (VALUES (debit, payments_posting.amount), (credit, -payments_posting.amount)) side (account, amount)
GROUP BY side.account, gateway, currency
"""
# What gateways hold for us, their fees added, is what was captured and has not gone back.
_TOTALS = """
WITH held AS (
    SELECT gateway, currency, SUM(side.amount) AS amount
    FROM payments_posting
    CROSS JOIN LATERAL (
        VALUES (debit, payments_posting.amount), (credit, -payments_posting.amount)
    ) side (account, amount)
    WHERE side.account IN ('gateway_receivable', 'fees')
    GROUP BY gateway, currency
), kept AS (
    SELECT gateway, currency::text, SUM(captured - refunded) AS amount FROM payments_attempt GROUP BY gateway, currency
)
SELECT gateway || ' ' || currency, NULL::uuid, NULL::uuid, format(
    'the accounts hold %%s, the attempts %%s', COALESCE(held.amount, 0), COALESCE(kept.amount, 0)
), COUNT(*) OVER ()
FROM held FULL JOIN kept USING (gateway, currency)
WHERE COALESCE(held.amount, 0) <> COALESCE(kept.amount, 0)
ORDER BY 1 LIMIT %(limit)s
"""
_ATTEMPTS = """
WITH posted AS (
    SELECT attempt_id, currency,
           COALESCE(SUM(amount) FILTER (WHERE kind = 'capture'), 0) AS captured,
           COALESCE(SUM(amount) FILTER (WHERE kind IN ('refund', 'refund_of_sale')), 0)
           - COALESCE(SUM(amount) FILTER (WHERE kind IN ('reversal', 'reversal_of_sale')), 0) AS refunded
    FROM payments_posting WHERE kind <> 'fee' GROUP BY attempt_id, currency
)
SELECT COALESCE(attempt.reference, posted.attempt_id::text), attempt.order_id,
       COALESCE(attempt.id, posted.attempt_id), format(
    'captured %%s, posted %%s; given back %%s, posted %%s', COALESCE(attempt.captured, 0),
    COALESCE(posted.captured, 0), COALESCE(attempt.refunded, 0), COALESCE(posted.refunded, 0)
), COUNT(*) OVER ()
FROM payments_attempt attempt
FULL JOIN posted ON posted.attempt_id = attempt.id AND posted.currency = attempt.currency
WHERE COALESCE(attempt.captured, 0) <> COALESCE(posted.captured, 0)
   OR COALESCE(attempt.refunded, 0) <> COALESCE(posted.refunded, 0)
ORDER BY 1 LIMIT %(limit)s
"""
_REFUNDS = """
WITH posted AS (
    SELECT source_id, currency,
           COALESCE(SUM(amount) FILTER (WHERE kind IN ('refund', 'refund_of_sale')), 0) AS gone,
           COALESCE(SUM(amount) FILTER (WHERE kind IN ('reversal', 'reversal_of_sale')), 0) AS back
    FROM payments_posting
    WHERE kind IN ('refund', 'refund_of_sale', 'reversal', 'reversal_of_sale') GROUP BY source_id, currency
), refund AS (
    SELECT id, attempt_id, currency::text, status,
           CASE WHEN status IN ('succeeded', 'reversed') THEN amount ELSE 0 END AS gone,
           CASE WHEN status = 'reversed' THEN amount ELSE 0 END AS back
    FROM payments_refund
)
SELECT COALESCE(refund.id, posted.source_id)::text, attempt.order_id, refund.attempt_id, format(
    '%%s: gone %%s, posted %%s; come back %%s, posted %%s', COALESCE(refund.status, 'no refund'),
    COALESCE(refund.gone, 0), COALESCE(posted.gone, 0), COALESCE(refund.back, 0), COALESCE(posted.back, 0)
), COUNT(*) OVER ()
FROM refund FULL JOIN posted ON posted.source_id = refund.id AND posted.currency = refund.currency
LEFT JOIN payments_attempt attempt ON attempt.id = refund.attempt_id
WHERE COALESCE(refund.gone, 0) <> COALESCE(posted.gone, 0) OR COALESCE(refund.back, 0) <> COALESCE(posted.back, 0)
ORDER BY 1 LIMIT %(limit)s
"""
_HELD = """
WITH refund AS (
    SELECT attempt_id,
           SUM(amount) FILTER (WHERE status IN ('requested', 'submitted', 'unknown', 'succeeded')) AS held,
           SUM(amount) FILTER (WHERE status = 'succeeded') AS refunded
    FROM payments_refund GROUP BY attempt_id
)
SELECT attempt.reference, attempt.order_id, attempt.id, format(
    'holds %%s for refunds that hold %%s; %%s given back by refunds of %%s', attempt.refund_held,
    COALESCE(refund.held, 0), attempt.refunded, COALESCE(refund.refunded, 0)
), COUNT(*) OVER ()
FROM payments_attempt attempt LEFT JOIN refund ON refund.attempt_id = attempt.id
WHERE attempt.refund_held <> COALESCE(refund.held, 0) OR attempt.refunded <> COALESCE(refund.refunded, 0)
ORDER BY 1 LIMIT %(limit)s
"""
_ORDERS = """
SELECT order_id::text, order_id, NULL::uuid, format('owes its customer %%s %%s', SUM(
    CASE credit WHEN 'customer_liability' THEN amount ELSE -amount END
), currency), COUNT(*) OVER ()
FROM payments_posting
WHERE 'customer_liability' IN (debit, credit)
GROUP BY order_id, currency
HAVING SUM(CASE credit WHEN 'customer_liability' THEN amount ELSE -amount END) < 0
ORDER BY 1 LIMIT %(limit)s
"""


class LedgerCheck(StrEnum):
    """What is compared, in the words of reports."""

    BALANCE = "accounts sum to zero"
    TOTALS = "what gateways hold is what attempts hold"
    ATTEMPTS = "attempts and their postings"
    REFUNDS = "refunds and their postings"
    HELD = "attempts and their refunds"
    LIABILITY = "no order owes less than nothing"


_STATEMENTS = {
    LedgerCheck.TOTALS: _TOTALS,
    LedgerCheck.ATTEMPTS: _ATTEMPTS,
    LedgerCheck.REFUNDS: _REFUNDS,
    LedgerCheck.HELD: _HELD,
    LedgerCheck.LIABILITY: _ORDERS,
}


@dataclass(frozen=True, slots=True)
class Balance:
    """What is in an account, in its usual direction: a positive number is the ordinary case."""

    account: str
    gateway: str
    amount: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One row in which the ledger and what it was written beside do not agree."""

    check: LedgerCheck
    subject: str
    order_id: UUID | None
    attempt_id: UUID | None
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """All balances, how many rows differ in each check, and the first of those."""

    balances: tuple[Balance, ...]
    differing: dict[LedgerCheck, int]
    differences: tuple[Difference, ...]

    @property
    def clean(self) -> bool:
        """Whether everything agrees."""
        return not any(self.differing.values())


def balances() -> tuple[Balance, ...]:
    """Return what is in every account, by gateway and currency; one statement."""
    return tuple(
        Balance(account, gateway, Money(-int(amount) if account in _BY_CREDITS else int(amount), currency))
        for account, gateway, currency, amount in sorted(_rows(_BALANCES), key=_place)
    )


@unit_of_work
def audit_ledger(*, limit: int = 20) -> Audit:
    """Compare the ledger with attempts and refunds, both ways, and name the first `limit` rows of each difference.

    Each check reads its tables whole, in one statement that sees one moment of them; it may take longer than what
    serves a shopper may.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('statement_timeout', %s, true)", [f"{TIMEOUT_SECONDS}s"])
    found = {check: _rows(statement, limit) for check, statement in _STATEMENTS.items()}
    all_balances = balances()
    unbalanced = _unbalanced(all_balances)
    audit = Audit(
        balances=all_balances,
        differing={LedgerCheck.BALANCE: len(unbalanced)}
        | {check: int(rows[0][-1]) if rows else 0 for check, rows in found.items()},
        differences=(
            *unbalanced,
            *(
                Difference(check=check, subject=subject, order_id=order_id, attempt_id=attempt_id, detail=detail)
                for check, rows in found.items()
                for subject, order_id, attempt_id, detail, _ in rows
            ),
        ),
    )
    if not audit.clean:
        log.error("ledger.differs", **{check.name.lower(): count for check, count in audit.differing.items() if count})
    return audit


def _unbalanced(all_balances: tuple[Balance, ...]) -> tuple[Difference, ...]:
    sums: Counter[str] = Counter()
    for balance in all_balances:
        sums[balance.amount.currency] += balance.amount.amount * (-1 if balance.account in _BY_CREDITS else 1)
    return tuple(
        Difference(
            check=LedgerCheck.BALANCE, subject=currency, order_id=None, attempt_id=None, detail=f"sums to {amount}"
        )
        for currency, amount in sums.items()
        if amount
    )


def _place(row: tuple[Any, ...]) -> tuple[Any, ...]:
    account, gateway, currency, _ = row
    return currency, gateway, list(LedgerAccount).index(account)


def _rows(statement: str, limit: int | None = None) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, {} if limit is None else {"limit": limit})
        return list(cursor.fetchall())
