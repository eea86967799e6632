"""What must add up once everything has come to rest."""

import time
from collections import Counter

from tests.journeys.stack import Stack

# Two worker processes are killed while they may have a mail in hand, and PostgreSQL and the worker's stop cost as many.
MOST_IN_DOUBT = 8
_AT_REST = {
    "orders under way": "SELECT count(*) FROM orders_order WHERE status NOT IN ('paid', 'expired')",
    "events to be relayed": "SELECT count(*) FROM outbox_pending",
    "events parked": "SELECT count(*) FROM kafka_parked",
    "callbacks to be applied": "SELECT count(*) FROM payments_callback WHERE state <> 'applied'",
    "attempts open": "SELECT count(*) FROM payments_attempt WHERE status NOT IN ('succeeded', 'expired')",
    "mails to be sent": "SELECT count(*) FROM notifications_mail WHERE state = 'pending'",
}
_HELD = """
SELECT stock.sku, stock.held, COALESCE(sum(line.quantity), 0)
FROM inventory_stock stock
LEFT JOIN (inventory_reservation_line line JOIN inventory_reservation reservation
           ON reservation.id = line.reservation_id AND reservation.state IN ('reserved', 'allocated')) USING (sku)
GROUP BY stock.sku, stock.held HAVING stock.held <> COALESCE(sum(line.quantity), 0)
"""
_SOLD = """
SELECT COALESCE(sum(line.quantity), 0) FROM orders_line line JOIN orders_order o ON o.id = line.order_id
WHERE o.status = 'paid' AND line.sku = %s
"""
_TOLD = """
SELECT key::text, type FROM event_log
WHERE type IN ('order.created.v1', 'payment.success.v1', 'order.paid.v1', 'order.expired.v1')
"""


def at_rest(stack: Stack, *, seconds: float) -> None:
    """Wait until nothing is left to do, and say what is when that takes too long."""
    deadline = time.monotonic() + seconds
    while left := _left(stack):
        assert time.monotonic() < deadline, f"Not at rest after {seconds:g} s: {left}"
        time.sleep(0.1)


def _left(stack: Stack) -> dict[str, int]:
    counts = {what: int(stack.one(sql)) for what, sql in _AT_REST.items()}
    return {what: count for what, count in counts.items() if count}


def stock_adds_up(stack: Stack, *, sku: str, at_first: int) -> None:
    """Require that what is gone was paid for, and that nothing is held for nobody."""
    assert stack.rows(_HELD) == []
    assert stack.rows("SELECT on_hand, held FROM inventory_stock WHERE sku = %s", sku) == [
        (at_first - int(stack.one(_SOLD, sku)), 0)
    ]


def money_adds_up(stack: Stack) -> None:
    """Require that the gateway's books, the payments and the paid orders say the same."""
    everybodys = ""
    captured = sum(session["captured_amount"] for session in stack.sessions(everybodys))
    succeeded = stack.one("SELECT COALESCE(sum(amount), 0) FROM payments_attempt WHERE status = 'succeeded'")
    paid = stack.one("SELECT COALESCE(sum(total_minor), 0) FROM orders_order WHERE status = 'paid'")
    assert captured == succeeded == paid


def everything_was_told_once(stack: Stack) -> None:
    """Require one event for each fact, one mail for each piece of news, and no consumer that missed any."""
    orders: dict[str, str] = dict(stack.rows("SELECT id::text, status FROM orders_order"))
    told = Counter(stack.rows(_TOLD))
    assert told == Counter(
        (order_id, kind)
        for order_id, status in orders.items()
        for kind in (
            ["order.created.v1", "payment.success.v1", "order.paid.v1"]
            if status == "paid"
            else ["order.created.v1", "order.expired.v1"]
        )
    )
    mails = Counter(stack.rows("SELECT order_id::text, template FROM notifications_mail"))
    assert mails == Counter(
        (order_id, template)
        for order_id, status in orders.items()
        for template in ("order_confirmation", "payment_receipt" if status == "paid" else "payment_expired")
    )
    plan = stack.manage("replay_events", "--all-consumers", "--yes-all-consumers")
    assert ": 0" in next(line for line in plan.splitlines() if line.startswith("To deliver to")), plan


def no_mail_went_twice(stack: Stack) -> None:
    """Require at most one file for each mail.

    A mail whose sender was killed in the act stays `sending` for minutes and is `unconfirmed` then: whether it went
    out nobody knows, so it is a person's to send again.
    """
    files = Counter(path.name.partition(".")[0] for path in (stack.state_dir / "mails").glob("*.eml"))
    ended: dict[str, str] = dict(stack.rows("SELECT id::text, state FROM notifications_mail"))
    sent = {mail_id for mail_id, state in ended.items() if state == "sent"}
    in_doubt = {mail_id for mail_id, state in ended.items() if state in {"sending", "unconfirmed"}}
    assert set(files.values()) == {1}
    assert sent <= set(files) <= set(ended) == sent | in_doubt
    assert len(in_doubt) <= MOST_IN_DOUBT
