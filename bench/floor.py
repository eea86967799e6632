"""The floor: the same five transactions in raw SQL, the same tables, the same rows, nothing of the shop's own code.

Two ways: statement by statement, as a careful programmer writes them, and each transaction fused into one statement.
Runs beside a PostgreSQL alone (`python -m bench.floor`), since a relay would carry its events away meanwhile.
"""

import argparse
import json
import multiprocessing
import os
import random
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
from psycopg.types.json import Jsonb
from uuid_utils.compat import uuid7

from integrations.embedded.state import PROJECT_ROOT

PURCHASES = 1_500
CONCURRENCIES = (1, 8)
ADDRESS = {"name": "Ada Bench", "line1": "Mole 1", "city": "Kiel", "postal_code": "24103", "country": "DE"}
PAYLOAD = {"properties": {"sku": "BENCH", "quantity": 1, "price": 1_000, "currency": "EUR", "note": "x" * 120}}

_READ_OFFER = """
SELECT a.name, p.amount, a.tax_class, s.on_hand - s.held FROM catalog_article a
JOIN catalog_product g ON g.id = a.product_id AND g.published
JOIN catalog_price p ON p.article_id = a.id AND p.currency = 'EUR'
JOIN inventory_stock s USING (sku) WHERE a.sku = %(sku)s::text AND a.published
"""
_READ_CART = """
SELECT c.version, l.sku, l.quantity FROM cart_cart c LEFT JOIN cart_line l ON l.cart_id = c.id
WHERE c.id = %(user)s::uuid
"""
_TOTALS = "1000, 0, 490, 238, 1490"


def _told(event: str, *, topic: str, aggregate: str, key: str) -> tuple[str, str, str]:
    """Return the three writes of an event: its aggregate's counter, the log, the queue."""
    return (
        f"""INSERT INTO outbox_aggregate AS counter (aggregate, key, sequence)
            VALUES ('{aggregate}', %({key})s::uuid, 1)
            ON CONFLICT (aggregate, key) DO UPDATE SET sequence = counter.sequence + 1 RETURNING sequence""",
        f"""INSERT INTO event_log (id, topic, type, aggregate, key, sequence, payload, headers, occurred_at)
            VALUES (%({event})s::uuid, '{topic}', '{topic}.v1', '{aggregate}', %({key})s::uuid, 1,
                    %(payload)s::jsonb, '{{"correlationid": "bench"}}', %(now)s::timestamptz)""",
        f"INSERT INTO outbox_pending (event_id, key, shard) VALUES (%({event})s::uuid, %({key})s::uuid, 7)",
    )


CHANGE_CART = (
    _READ_CART,
    _READ_OFFER,
    """INSERT INTO cart_cart AS cart (id, currency, version, updated_at)
       VALUES (%(user)s::uuid, 'EUR', 1, %(now)s::timestamptz)
       ON CONFLICT (id) DO UPDATE SET version = cart.version + 1, updated_at = EXCLUDED.updated_at""",
    """INSERT INTO cart_line (cart_id, sku, name, quantity, unit_price_seen, added_at)
       VALUES (%(user)s::uuid, %(sku)s::text, 'The bench', 1, 1000, %(now)s::timestamptz)""",
    *_told("event_1", topic="analytics.events", aggregate="shopper", key="user"),
)
CHECKOUT = (
    _READ_CART,
    _READ_OFFER,
    "SELECT price_minor FROM checkout_shipping_method WHERE country = 'DE' AND currency = 'EUR' AND code = 'standard'",
    "SELECT tax_class, rate_ppm FROM checkout_tax_rate WHERE country = 'DE'",
    f"""INSERT INTO checkout_checkout (
            id, user_id, guest, cart_id, cart_version, status, currency, subtotal_minor, discount_minor,
            shipping_minor, tax_minor, total_minor, email, language, shipping_address, billing_address,
            shipping_method, quote_hash, expires_at, created_at)
        VALUES (%(checkout)s::uuid, %(user)s::uuid, true, %(user)s::uuid, 1, 'open', 'EUR', {_TOTALS},
                'ada.bench@example.com', 'en', %(address)s::jsonb, %(address)s::jsonb, 'standard', 'quote',
                %(later)s::timestamptz, %(now)s::timestamptz)""",
    """INSERT INTO checkout_line (checkout_id, position, sku, name, quantity, unit_price_minor, discount_minor,
                                  tax_minor, line_total_minor)
       VALUES (%(checkout)s::uuid, 1, %(sku)s::text, 'The bench', 1, 1000, 0, 160, 1000)""",
    """INSERT INTO inventory_reservation (id, holder, state, expires_at, created_at)
       VALUES (%(checkout)s::uuid, %(user)s::uuid, 'reserved', %(later)s::timestamptz, %(now)s::timestamptz)""",
    """INSERT INTO inventory_reservation_line (reservation_id, sku, quantity)
       VALUES (%(checkout)s::uuid, %(sku)s::text, 1)""",
    "UPDATE inventory_stock SET held = held + 1, updated_at = now() WHERE sku = %(sku)s::text AND held < on_hand",
    *_told("event_2", topic="analytics.events", aggregate="shopper", key="user"),
)
ORDER = (
    """UPDATE checkout_checkout SET status = 'ordered' WHERE id = %(checkout)s::uuid AND status = 'open'
       RETURNING total_minor""",
    "UPDATE cart_cart SET version = version + 1, updated_at = %(now)s::timestamptz WHERE id = %(user)s::uuid",
    "DELETE FROM cart_line WHERE cart_id = %(user)s::uuid",
    "UPDATE inventory_reservation SET state = 'allocated', expires_at = NULL WHERE id = %(checkout)s::uuid",
    f"""INSERT INTO orders_order (
            id, number, checkout_id, user_id, guest, status, currency, subtotal_minor, discount_minor,
            shipping_minor, tax_minor, total_minor, prices_include_tax, email, language, shipping_address,
            billing_address, shipping_method, payment_deadline, created_at, updated_at)
        VALUES (%(order)s::uuid, %(number)s::text, %(checkout)s::uuid, %(user)s::uuid, true, 'pending_payment', 'EUR',
                {_TOTALS}, true, 'ada.bench@example.com', 'en', %(address)s::jsonb, %(address)s::jsonb, 'standard',
                %(later)s::timestamptz, %(now)s::timestamptz, %(now)s::timestamptz)""",
    """INSERT INTO orders_line (order_id, position, sku, name, quantity, unit_price_minor, discount_minor, tax_minor,
                                line_total_minor)
       VALUES (%(order)s::uuid, 1, %(sku)s::text, 'The bench', 1, 1000, 0, 160, 1000)""",
    """INSERT INTO orders_entry (order_id, id, at, type, detail)
       VALUES (%(order)s::uuid, %(entry_1)s::uuid, %(now)s::timestamptz, 'placed', '')""",
    *_told("event_3", topic="order.created", aggregate="order", key="order"),
)
PAYMENT = (
    "SELECT number, status, total_minor, payment_deadline FROM orders_order WHERE id = %(order)s::uuid",
    """INSERT INTO payments_payable (order_id, user_id, guest, number, amount, currency, deadline)
       VALUES (%(order)s::uuid, %(user)s::uuid, true, %(number)s::text, 1490, 'EUR', %(later)s::timestamptz)""",
    """INSERT INTO payments_attempt (id, order_id, user_id, gateway, reference, session_id, status, amount, currency,
                                     return_url, redirect_url, next_poll_at, expires_at, created_at, moved_at)
       VALUES (%(payment)s::uuid, %(order)s::uuid, %(user)s::uuid, 'sandbox', %(number)s::text,
               %(session)s::text, 'pending', 1490, 'EUR', 'https://shop.example.com/thanks',
               'https://gateway.example.com/pay', %(later)s::timestamptz, %(later)s::timestamptz,
               %(now)s::timestamptz, %(now)s::timestamptz)""",
    """INSERT INTO payments_move (id, attempt_id, at, from_status, to_status, source)
       VALUES (%(move_1)s::uuid, %(payment)s::uuid, %(now)s::timestamptz, '', 'created', 'start'),
              (%(move_2)s::uuid, %(payment)s::uuid, %(now)s::timestamptz, 'created', 'pending', 'start')""",
    *_told("event_4", topic="analytics.events", aggregate="shopper", key="user"),
)
SETTLE_AND_PAY = (
    """INSERT INTO payments_callback (id, gateway, event_id, type, session_id, body, headers, state, received_at)
       VALUES (%(callback)s::uuid, 'sandbox', %(session)s::text, 'session.paid', %(session)s::text, '\\x7b7d',
               '{}', 'applied', %(now)s::timestamptz)""",
    """UPDATE payments_attempt SET status = 'succeeded', captured = amount, next_poll_at = NULL,
              moved_at = %(now)s::timestamptz
       WHERE id = %(payment)s::uuid AND status = 'pending'""",
    "UPDATE payments_payable SET state = 'settled' WHERE order_id = %(order)s::uuid AND state = 'open'",
    """INSERT INTO payments_move (id, attempt_id, at, from_status, to_status, source)
       VALUES (%(move_3)s::uuid, %(payment)s::uuid, %(now)s::timestamptz, 'pending', 'succeeded', 'callback')""",
    *_told("event_5", topic="payment.success", aggregate="payment", key="order"),
    """UPDATE orders_order SET status = 'paid', captured_minor = total_minor, payment_id = %(payment)s::uuid,
              updated_at = %(now)s::timestamptz
       WHERE id = %(order)s::uuid AND status = 'pending_payment'""",
    """INSERT INTO orders_capture (payment_id, order_id, amount_minor, currency, at)
       VALUES (%(payment)s::uuid, %(order)s::uuid, 1490, 'EUR', %(now)s::timestamptz)""",
    """INSERT INTO orders_entry (order_id, id, at, type, detail)
       VALUES (%(order)s::uuid, %(entry_2)s::uuid, %(now)s::timestamptz, 'paid', '14.90 EUR')""",
    "UPDATE inventory_reservation SET state = 'committed' WHERE id = %(checkout)s::uuid",
    """UPDATE inventory_stock SET on_hand = on_hand - 1, held = held - 1, updated_at = now()
       WHERE sku = %(sku)s::text""",
    *_told("event_6", topic="order.paid", aggregate="order", key="order"),
)
PURCHASE = (CHANGE_CART, CHECKOUT, ORDER, PAYMENT, SETTLE_AND_PAY)


def fused(statements: tuple[str, ...]) -> str:
    """Return the transaction as one statement."""
    parts = [f"part_{number} AS MATERIALIZED ({text})" for number, text in enumerate(statements)]
    reads = [number for number, text in enumerate(statements) if text.lstrip().startswith("SELECT")]
    # A read that nothing refers to would not be done at all.
    counted = " + ".join(f"(SELECT count(*) FROM part_{number})" for number in reads) or "1"
    return f"WITH {', '.join(parts)} SELECT {counted}"


def values(skus: list[str]) -> dict[str, Any]:
    """Return what one purchase writes."""
    now = datetime.now(UTC)
    ids = (
        "user checkout order payment callback move_1 move_2 move_3 entry_1 entry_2"
        " event_1 event_2 event_3 event_4 event_5 event_6"
    )
    return {
        **{name: uuid7() for name in ids.split()},
        "sku": random.choice(skus),
        "number": uuid4().hex[:12],
        "session": uuid4().hex,
        "address": Jsonb(ADDRESS),
        "payload": Jsonb(PAYLOAD),
        "now": now,
        "later": now + timedelta(minutes=30),
    }


def purchases_per_second(url: str, *, is_fused: bool, concurrency: int, purchases: int) -> float:
    """Buy so many times with so many connections, half of them in each of two processes, and return the rate."""
    processes = min(2, concurrency)
    share = (url, is_fused, concurrency // processes, purchases // concurrency)
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        spans = pool.starmap(_buy_in_threads, [share] * processes)
    began, ended = min(span[0] for span in spans), max(span[1] for span in spans)
    return (purchases // concurrency) * concurrency / (ended - began)


def _buy_in_threads(url: str, is_fused: bool, threads: int, purchases: int) -> tuple[float, float]:  # noqa: FBT001  a pool's call
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415  in the child only

    with ThreadPoolExecutor(threads) as pool:
        spans = list(pool.map(lambda _: _buy(url, is_fused, purchases), range(threads)))
    return min(span[0] for span in spans), max(span[1] for span in spans)


def _buy(url: str, is_fused: bool, purchases: int) -> tuple[float, float]:  # noqa: FBT001  a pool's call
    transactions = [(fused(statements),) if is_fused else statements for statements in PURCHASE]
    with psycopg.connect(url, autocommit=True, prepare_threshold=0, cursor_factory=psycopg.Cursor) as connection:
        skus = [sku for (sku,) in connection.execute("SELECT sku FROM inventory_stock").fetchall()]
        _buy_once(connection, transactions, skus)
        began = time.time()
        for _ in range(purchases):
            _buy_once(connection, transactions, skus)
        return began, time.time()


def _buy_once(connection: Any, transactions: list[tuple[str, ...]], skus: list[str]) -> None:
    written = values(skus)
    for statements in transactions:
        # One statement is a transaction by itself.
        if len(statements) == 1:
            connection.execute(statements[0], written)
            continue
        with connection.transaction():
            for statement in statements:
                connection.execute(statement, written)


def measured(url: str) -> dict[str, float]:
    """Return purchases per second for both ways and each concurrency."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE inventory_stock SET on_hand = 10000000")
        connection.execute("ANALYZE")
    rates = {
        f"{way}, {concurrency} connections": purchases_per_second(
            url, is_fused=way == "fused", concurrency=concurrency, purchases=PURCHASES
        )
        for way in ("by statement", "fused")
        for concurrency in CONCURRENCIES
    }
    with psycopg.connect(url, autocommit=True) as connection:
        # No relay shall ever tell of these.
        connection.execute("TRUNCATE outbox_pending")
    return rates


def measured_beside(state_dir: Path) -> dict[str, float]:
    """Start the services alone on this (migrated and seeded) state, and return what `measured` returns."""
    command = [sys.executable, "-m", "integrations.embedded", "services", "--state-dir", str(state_dir), "--"]
    found = subprocess.run(
        [*command, sys.executable, "-m", "bench.floor", "--json"],
        cwd=PROJECT_ROOT, stdout=subprocess.PIPE, check=True, text=True,
    )  # fmt: skip
    rates: dict[str, float] = json.loads(found.stdout.splitlines()[-1])
    return rates


def main() -> None:
    """Measure the database DATABASE_URL names, or one of our own, and print the rates."""
    parser = argparse.ArgumentParser(prog="python -m bench.floor", description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--state-dir", type=Path, help="a folder in which a stack was run before")
    options = parser.parse_args()
    rates = measured_beside(options.state_dir) if options.state_dir else measured(os.environ["DATABASE_URL"])
    if options.json:
        print(json.dumps(rates))
        return
    for name, rate in rates.items():
        print(f"{name:<32} {rate:8.1f} purchases/s")


if __name__ == "__main__":
    main()
