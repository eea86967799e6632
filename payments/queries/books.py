"""Our own books, a page at a time: each answer is one statement, however many rows are asked for."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from payments.dto import GatewayRefund, GatewaySession
from payments.queries.rows import ATTEMPTS, REFUNDS, AttemptRow, RefundRow, attempts_by, refunds_by
from shop.kernel.ids import as_uuid
from shop.kernel.money import Money
from shop.kernel.rows import rows_of

PAGE = 500

_FIRST = UUID(int=0)
# The indexes leave out what has no name there; said again, so that a plan made without values knows it.
_OF_SESSIONS = f"""
{ATTEMPTS} WHERE attempt.gateway = %(gateway)s::text AND attempt.session_id = ANY(%(sessions)s::text[])
  AND attempt.session_id <> ''
UNION ALL
{ATTEMPTS} WHERE attempt.gateway = %(gateway)s::text AND attempt.reference = ANY(%(references)s::text[])
"""
_OF_MONEY = f"""
{ATTEMPTS} WHERE attempt.gateway = %(gateway)s::text AND attempt.session_id = ANY(%(sessions)s::text[])
  AND attempt.session_id <> ''
UNION ALL
{ATTEMPTS} WHERE attempt.gateway = %(gateway)s::text AND attempt.gateway_payment_id = ANY(%(payments)s::text[])
  AND attempt.gateway_payment_id <> ''
"""
_ATTEMPTS_SINCE = f"""
{ATTEMPTS} WHERE attempt.gateway = %(gateway)s::text AND attempt.session_id <> ''
  AND attempt.created_at >= %(since)s::timestamptz AND attempt.id > %(after)s::uuid
ORDER BY attempt.id LIMIT %(limit)s
"""
_OF_REFUNDS = f"""
{REFUNDS} WHERE refund.gateway = %(gateway)s::text AND refund.gateway_refund_id = ANY(%(refunds)s::text[])
  AND refund.gateway_refund_id <> ''
UNION ALL
{REFUNDS} WHERE refund.gateway = %(gateway)s::text AND refund.id = ANY(%(references)s::uuid[])
"""
_REFUNDS_SINCE = f"""
{REFUNDS} WHERE refund.gateway = %(gateway)s::text AND refund.gateway_refund_id <> ''
  AND refund.created_at >= %(since)s::timestamptz AND refund.id > %(after)s::uuid
ORDER BY refund.id LIMIT %(limit)s
"""
_PAID_ORDERS = """
SELECT DISTINCT order_id FROM payments_attempt
WHERE status = 'succeeded' AND moved_at >= %(since)s::timestamptz AND order_id > %(after)s::uuid
ORDER BY order_id LIMIT %(limit)s
"""
_MONEY = """
SELECT order_id, currency, SUM(captured)::bigint AS captured, SUM(captured - refund_held)::bigint AS kept,
       COUNT(*) FILTER (WHERE captured > refund_held) AS payments_kept, MAX(moved_at) AS moved_at,
       (ARRAY_AGG(id ORDER BY id DESC))[1] AS attempt_id, (ARRAY_AGG(gateway ORDER BY id DESC))[1] AS gateway
FROM payments_attempt
WHERE order_id = ANY(%(orders)s::uuid[]) AND status = 'succeeded'
GROUP BY order_id, currency
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderMoney:
    """What the attempts of one order have brought, and what of it no refund holds."""

    order_id: UUID
    gateway: str
    attempt_id: UUID
    captured: Money
    kept: Money
    payments_kept: int
    moved_at: datetime


class AttemptsOf:
    """Our attempts that a page of the gateway's sessions is about."""

    def __init__(self, *, gateway: str, words: Sequence[GatewaySession]) -> None:
        names = {
            "gateway": gateway,
            "sessions": [word.session_id for word in words],
            "references": [word.reference for word in words if word.reference],
        }
        rows = attempts_by(_OF_SESSIONS, names)
        self._by_session = {row.session_id: row for row in rows if row.session_id}
        self._by_reference = {row.reference: row for row in rows}

    def of(self, word: GatewaySession) -> AttemptRow | None:
        """Return the attempt that has this session, or else the one whose reference it bears."""
        return self._by_session.get(word.session_id) or self._by_reference.get(word.reference)


class RefundsOf:
    """Our refunds that a page of the gateway's is about, and the payments of those we do not have."""

    def __init__(self, *, gateway: str, words: Sequence[GatewayRefund]) -> None:
        references = [as_uuid(word.reference) for word in words]
        names = {
            "gateway": gateway,
            "refunds": [word.refund_id for word in words],
            "references": [reference for reference in references if reference],
        }
        rows = refunds_by(_OF_REFUNDS, names)
        self._by_id = {row.gateway_refund_id: row for row in rows if row.gateway_refund_id}
        # One that has another id there is another refund, whatever its reference says.
        self._by_reference = {str(row.id): row for row in rows if not row.gateway_refund_id}
        self._attempts = self._of_unknown(gateway, [word for word in words if self.of(word) is None])

    def of(self, word: GatewayRefund) -> RefundRow | None:
        """Return the refund that has this id there, or whose reference it bears."""
        return self._by_id.get(word.refund_id) or self._by_reference.get(word.reference)

    def attempt_of(self, word: GatewayRefund) -> AttemptRow | None:
        """Return the attempt whose money an unknown refund gave back."""
        return self._attempts.get(word.session_id) or self._attempts.get(word.payment_id)

    def _of_unknown(self, gateway: str, unknown: Sequence[GatewayRefund]) -> dict[str, AttemptRow]:
        if not unknown:
            return {}
        names = {
            "gateway": gateway,
            "sessions": [word.session_id for word in unknown],
            "payments": [word.payment_id for word in unknown],
        }
        rows = attempts_by(_OF_MONEY, names)
        return {name: row for row in rows for name in (row.gateway_payment_id, row.session_id) if name}


def attempts_since(*, gateway: str, since: datetime) -> Iterator[list[AttemptRow]]:
    """Yield, page by page, our attempts of this gateway that it has given a session and that began since then."""
    after = _FIRST
    while page := attempts_by(_ATTEMPTS_SINCE, {"gateway": gateway, "since": since, "after": after, "limit": PAGE}):
        yield page
        after = page[-1].id


def refunds_since(*, gateway: str, since: datetime) -> Iterator[list[RefundRow]]:
    """Yield, page by page, our refunds of this gateway that it has given an id and that began since then."""
    after = _FIRST
    while page := refunds_by(_REFUNDS_SINCE, {"gateway": gateway, "since": since, "after": after, "limit": PAGE}):
        yield page
        after = page[-1].id


def refund_named(*, gateway: str, refund_id: str) -> RefundRow | None:
    """Return our refund that has this id there, or None."""
    found = refunds_by(_OF_REFUNDS, {"gateway": gateway, "refunds": [refund_id], "references": []})
    return found[0] if found else None


def orders_with_money_since(*, since: datetime) -> Iterator[list[UUID]]:
    """Yield, page by page, the orders an attempt has brought money to since then."""
    after = _FIRST
    while page := [row["order_id"] for row in rows_of(_PAID_ORDERS, {"since": since, "after": after, "limit": PAGE})]:
        yield page
        after = page[-1]


def money_of(*, order_ids: Sequence[UUID]) -> dict[UUID, OrderMoney]:
    """Return what the attempts of these orders have brought; orders without money are missing."""
    return {row["order_id"]: _order_money(row) for row in rows_of(_MONEY, {"orders": list(order_ids)})}


def _order_money(row: dict[str, Any]) -> OrderMoney:
    return OrderMoney(
        order_id=row["order_id"],
        gateway=row["gateway"],
        attempt_id=row["attempt_id"],
        captured=Money(row["captured"], row["currency"]),
        kept=Money(row["kept"], row["currency"]),
        payments_kept=row["payments_kept"],
        moved_at=row["moved_at"],
    )
