"""The auditor: what must hold after every step, and what must hold once the world has come to rest.

It reads the tables of all contexts at once, as no part of the shop may, in a connection of its own; and it believes
the gateway's books, not the gateway's words.
"""

from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from integrations.simulator.acts import Broken
from integrations.simulator.books import Books

Row = dict[str, Any]

# Each selects what contradicts its sentence. They hold in every committed state, whoever was killed where.
RULES: dict[LiteralString, LiteralString] = {
    "an attempt is paid once": """
        SELECT attempt_id::text FROM payments_move WHERE to_status = 'succeeded' AND from_status <> to_status
        GROUP BY attempt_id HAVING count(*) > 1""",
    "payment.success is told once a payment, and only of money that came": """
        SELECT payload->>'payment_id' FROM event_log WHERE topic = 'payment.success'
        GROUP BY payload->>'payment_id' HAVING count(*) > 1
        UNION ALL SELECT a.id::text FROM payments_attempt a WHERE (status = 'succeeded') <> EXISTS (
            SELECT FROM event_log e
            WHERE e.key = a.order_id AND topic = 'payment.success' AND payload->>'payment_id' = a.id::text)""",
    "an order is created, paid, sent, cancelled and expires once": """
        SELECT topic || ' ' || key FROM event_log
        WHERE topic IN ('order.created', 'order.paid', 'order.fulfilled', 'order.cancelled', 'order.expired')
        GROUP BY topic, key HAVING count(*) > 1""",
    "an order has one open attempt at most": """
        SELECT order_id::text FROM payments_attempt WHERE status IN ('created', 'pending', 'unknown', 'processing')
        GROUP BY order_id HAVING count(*) > 1""",
    "a paid order is covered by captured money": """
        SELECT number FROM orders_order o WHERE status IN ('paid', 'fulfilled') AND total_minor > (
            SELECT coalesce(sum(captured), 0) FROM payments_attempt a WHERE a.order_id = o.id)""",
    "an order counts no more than came": """
        SELECT number FROM orders_order o WHERE captured_minor > (
            SELECT coalesce(sum(captured), 0) FROM payments_attempt a WHERE a.order_id = o.id)""",
    "stock held is stock promised, and never more than there is": """
        SELECT s.sku FROM inventory_stock s LEFT JOIN (
            SELECT l.sku, sum(quantity) AS promised
            FROM inventory_reservation_line l JOIN inventory_reservation r ON r.id = l.reservation_id
            WHERE state IN ('reserved', 'allocated') GROUP BY l.sku
        ) p USING (sku) WHERE held <> coalesce(promised, 0) OR held < 0 OR held > on_hand""",
    "stock is conserved: what is not on the shelf was sold": """
        SELECT s.sku FROM inventory_stock s LEFT JOIN (
            SELECT l.sku, sum(quantity) AS sold
            FROM inventory_reservation_line l JOIN inventory_reservation r ON r.id = l.reservation_id
            WHERE state = 'committed' GROUP BY l.sku
        ) c USING (sku) WHERE on_hand + coalesce(sold, 0) <> %(units)s""",
    "an order's stock is where the order stands": """
        SELECT number || ' ' || status || ' ' || r.state FROM orders_order o
        JOIN inventory_reservation r ON r.id = o.checkout_id
        WHERE NOT CASE status WHEN 'pending_payment' THEN r.state = 'allocated'
                              WHEN 'paid' THEN r.state = 'committed' WHEN 'fulfilled' THEN r.state = 'committed'
                              ELSE r.state IN ('released', 'restocked') END""",
    "a mail of a kind goes out once": """
        SELECT template || ' ' || order_number FROM notifications_mail
        WHERE template IN ('order_confirmation', 'payment_expired')
        GROUP BY template, order_number HAVING count(*) > 1
        UNION ALL SELECT 'receipts ' || order_number FROM notifications_mail m WHERE template = 'payment_receipt'
        GROUP BY order_id, order_number HAVING count(*) > (
            SELECT count(*) FROM payments_attempt a WHERE a.order_id = m.order_id AND status = 'succeeded')""",
    "analytics tell a fact once": """
        SELECT payload->>'name' FROM event_log
        WHERE topic = 'analytics.events' AND payload->'properties' ? 'fact_id'
        GROUP BY payload->>'name', payload->'properties'->>'fact_id' HAVING count(*) > 1""",
    "the events of an aggregate are numbered without a gap": """
        SELECT aggregate || ' ' || key FROM event_log GROUP BY aggregate, key HAVING max(sequence) <> count(*)""",
    "what an attempt holds for refunds is what they ask for": """
        SELECT reference FROM payments_attempt a WHERE ARRAY[refund_held, refunded] <> (
            SELECT ARRAY[coalesce(sum(amount) FILTER (WHERE status NOT IN ('rejected', 'reversed')), 0)::bigint,
                         coalesce(sum(amount) FILTER (WHERE status = 'succeeded'), 0)::bigint]
            FROM payments_refund r WHERE r.attempt_id = a.id)
        OR refund_held > captured""",
    "the ledger holds every capture and every refund, once": """
        SELECT reference FROM payments_attempt a WHERE ARRAY[captured, refunded] <> (
            SELECT ARRAY[coalesce(sum(amount) FILTER (WHERE kind = 'capture'), 0)::bigint,
                         coalesce(sum(CASE WHEN kind IN ('refund', 'refund_of_sale') THEN amount
                                           WHEN kind IN ('reversal', 'reversal_of_sale') THEN -amount END), 0)::bigint]
            FROM payments_posting p WHERE p.attempt_id = a.id)""",
    "the ledger is balanced, and owes nobody less than nothing": """
        SELECT order_id::text FROM payments_posting GROUP BY order_id, currency
        HAVING sum(CASE WHEN credit = 'customer_liability' THEN amount
                        WHEN debit = 'customer_liability' THEN -amount ELSE 0 END) < 0
        UNION ALL SELECT id::text FROM payments_posting WHERE amount <= 0 OR debit = credit""",
}
# Held against the gateway's books after every step.
ONE_SESSION = "an attempt has one session at the gateway"
NO_MORE_BACK = "no more goes back than came"
CAPTURED_THERE = "what we captured, the gateway has"
GOODS_FOR_MONEY = "goods only for money the gateway has"
SENTENCES_OF_BOOKS = (ONE_SESSION, NO_MORE_BACK, CAPTURED_THERE, GOODS_FOR_MONEY)
# Asked once the world has come to rest.
NOTHING_LEFT = "in the end nothing is left to do"
NOTHING_FOUND = "in the end reconciliation finds nothing"
PAYMENTS_FINAL = "in the end every payment is final"
BOOKS_AGREE = "in the end the gateway's books are ours"
ORDERS_FINAL = "in the end every order is final"
MONEY_FOR_GOODS = "in the end money is for goods or given back"
GOODS_PAID = "in the end goods are paid for"
SENTENCES_OF_REST = (
    NOTHING_LEFT,
    NOTHING_FOUND,
    PAYMENTS_FINAL,
    BOOKS_AGREE,
    ORDERS_FINAL,
    MONEY_FOR_GOODS,
    GOODS_PAID,
)

_ORDERS = """
SELECT id, number, status, total_minor AS total, currency, captured_minor AS captured, needs_review
FROM orders_order ORDER BY id
"""
_ATTEMPTS = """
SELECT id, order_id, reference, session_id, status, amount, currency, captured, refunded, refund_held, review_reason
FROM payments_attempt ORDER BY id
"""
_REFUNDS = """
SELECT id, attempt_id, gateway_refund_id, status, amount, cause, review_reason FROM payments_refund ORDER BY id
"""
_FINDINGS = """
SELECT id, kind, subject, detail, attempt_id, order_id FROM payments_finding WHERE state = 'open' ORDER BY id
"""
# When something happens next by itself. An order whose payment waits for a person waits with it.
_NEXT = """
SELECT min(at) FROM (
    SELECT min(next_poll_at) FROM payments_attempt
    UNION ALL SELECT min(next_attempt_at) FROM payments_callback
    UNION ALL SELECT min(next_try_at) FROM payments_refund
    UNION ALL SELECT min(next_attempt_at) FROM kafka_parked WHERE state = 'waiting'
    UNION ALL SELECT min(expires_at) FROM checkout_checkout WHERE status = 'open'
    UNION ALL SELECT min(greatest(payment_deadline, next_expiry_at)) FROM orders_order o
        LEFT JOIN payments_payable p ON p.order_id = o.id
        WHERE status = 'pending_payment' AND NOT EXISTS (
            SELECT FROM payments_attempt a WHERE a.order_id = o.id AND review_reason NOT IN ('', 'unanswered'))
) AS due (at)
"""
_LEFT_OVER = """
SELECT 'outbox: ' || count(*) FROM outbox_pending HAVING count(*) > 0
UNION ALL SELECT 'parked: ' || consumer || ' ' || type || ' ' || last_error FROM kafka_parked
UNION ALL SELECT 'callback: ' || type || ' ' || state || ' ' || last_error FROM payments_callback
    WHERE state IN ('received', 'parked')
UNION ALL SELECT 'checkout: ' || id FROM checkout_checkout WHERE status = 'open'
"""


class Audit:
    """What one world's database says, as of the last look, held against the books of its gateway."""

    def __init__(self, monitor: "psycopg.Connection[Any]", *, units: int) -> None:
        self._monitor, self._units = monitor, units
        self._question = sql.SQL(" UNION ALL ").join(
            sql.SQL("SELECT {}, found FROM ({}) AS broken (found)").format(sentence, sql.SQL(rule))
            for sentence, rule in RULES.items()
        )
        self.orders: dict[UUID, Row] = {}
        self.attempts: dict[UUID, Row] = {}
        self.refunds: list[Row] = []
        self.findings: list[Row] = []

    def look(self, books: Books) -> None:
        """Read what is committed; Broken when any rule does not hold."""
        self.orders = {row["id"]: row for row in self._rows(_ORDERS, "order")}
        self.attempts = {row["id"]: row for row in self._rows(_ATTEMPTS, "payment")}
        self.refunds = self._rows(_REFUNDS, "refund")
        self.findings = self._rows(_FINDINGS, "finding")
        for sentence, found in self._monitor.execute(self._question, {"units": self._units}):
            raise Broken(sentence, str(found))
        self.compare(books)

    def compare(self, books: Books) -> None:
        """Hold what was last read against the gateway's books, which may have moved on since; Broken."""
        for session in books.sessions.values():
            if len(books.of_reference(session.request.reference)) > 1:
                raise Broken(ONE_SESSION, session.request.reference)
            if books.given_back(session.id, done=False) > session.captured:
                raise Broken(NO_MORE_BACK, f"{session.id} of {session.captured}")
        captured = dict.fromkeys(self.orders, 0)
        for attempt in self.attempts.values():
            there = sum(session.captured for session in books.of_reference(attempt["reference"]))
            captured[attempt["order_id"]] = captured.get(attempt["order_id"], 0) + there
            if attempt["captured"] not in {0, there}:
                raise Broken(CAPTURED_THERE, f"{attempt['name']}: {there} there")
        for order in self.orders.values():
            if order["status"] in {"paid", "fulfilled"} and captured[order["id"]] < order["total"]:
                raise Broken(GOODS_FOR_MONEY, f"{order['name']}: {captured[order['id']]} there")

    def next_due(self) -> datetime | None:
        """Return when something is due next; None when nothing is."""
        row = self._monitor.execute(_NEXT).fetchone()
        at: datetime | None = row[0] if row else None
        return at

    def dead_letters(self) -> list[int]:
        """Return the events that consumers have given up."""
        return [place for (place,) in self._monitor.execute("SELECT id FROM kafka_parked WHERE state = 'dead'")]

    def waits_in_the_outbox(self) -> bool:
        """Whether an event has not been sent."""
        return self._monitor.execute("SELECT FROM outbox_pending LIMIT 1").fetchone() is not None

    def at_rest(self, books: Books) -> None:
        """Check what must be true in the end; Broken otherwise."""
        for (found,) in self._monitor.execute(_LEFT_OVER):
            raise Broken(NOTHING_LEFT, str(found))
        strange = {attempt["id"] for attempt in self.attempts.values() if self._is_strange(attempt, books)}
        held = {self.attempts[attempt_id]["order_id"] for attempt_id in strange}
        # What a bank would not take, or sent back, stays a finding until a person has found another way.
        unreturned = {
            self.attempts[refund["attempt_id"]]["order_id"]
            for refund in self.refunds
            if refund["status"] in {"rejected", "reversed"}
        }
        for finding in self.findings:
            about = finding["order_id"] or self.attempts.get(finding["attempt_id"], {}).get("order_id")
            if about not in held | unreturned:
                raise Broken(NOTHING_FOUND, f"{finding['kind']}: {finding['detail']}")
        for attempt in self.attempts.values():
            if not self._is_strange(attempt, books):
                self._books_agree(attempt, books)
        for order in self.orders.values():
            if order["id"] not in held:
                self._is_final(order)

    def _books_agree(self, attempt: Row, books: Books) -> None:
        if attempt["status"] in {"created", "pending", "unknown", "processing"}:
            raise Broken(PAYMENTS_FINAL, f"{attempt['name']} is {attempt['status']}")
        sessions = books.of_reference(attempt["reference"])
        theirs = (
            sum(session.captured for session in sessions),
            sum(books.given_back(session.id, done=True) for session in sessions),
        )
        ours = (attempt["captured"], attempt["refunded"])
        if ours != theirs:
            raise Broken(BOOKS_AGREE, f"{attempt['name']}: {theirs} there, {ours} here")

    def _is_final(self, order: Row) -> None:
        if order["status"] == "pending_payment":
            raise Broken(ORDERS_FINAL, order["name"])
        mine = [attempt for attempt in self.attempts.values() if attempt["order_id"] == order["id"]]
        ids = {attempt["id"] for attempt in mine}
        net = sum(attempt["captured"] - attempt["refunded"] for attempt in mine)
        refunds = [refund for refund in self.refunds if refund["attempt_id"] in ids]
        # What a bank would not take, or sent back, is a person's to deal with; both have been told.
        stuck = sum(refund["amount"] for refund in refunds if refund["status"] in {"rejected", "reversed"})
        wanted = sum(
            refund["amount"]
            for refund in refunds
            if refund["status"] == "succeeded" and refund["cause"] in {"requested", "external"}
        )
        price = order["total"] if order["status"] in {"paid", "fulfilled"} else 0
        if net > price + stuck:
            raise Broken(MONEY_FOR_GOODS, f"{order['name']} keeps {net}, costs {price}")
        if net < price - wanted:
            raise Broken(GOODS_PAID, f"{order['name']} keeps {net}, costs {price}")

    def _is_strange(self, attempt: Row, books: Books) -> bool:
        """Whether the gateway has truly taken another amount: such a payment waits for a person for good."""
        sessions = books.of_reference(attempt["reference"])
        wrong = any(session.captured not in {0, session.request.amount.amount} for session in sessions)
        return wrong and bool(attempt["review_reason"])

    def _rows(self, query: LiteralString, named: str) -> list[Row]:
        with self._monitor.cursor(row_factory=dict_row) as cursor:
            rows = cursor.execute(query).fetchall()
        return [row | {"name": f"{named} {number}"} for number, row in enumerate(rows, start=1)]
