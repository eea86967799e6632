"""Years of business in minutes: `python -m bench.fill` fills the database DATABASE_URL names, for plans and figures.

Everything is paid, sent and told; only a few rows still wait, as in a shop that runs well. It is meant for an empty,
migrated and seeded database that is thrown away afterwards.
"""

import argparse
import os

import psycopg
from tqdm import tqdm

_MILLISECONDS_BETWEEN_ORDERS = 7_000
_PIECE = 100_000
# A UUIDv7 whose time follows `n`, so that rows lie as they do in life: `kind` tells the tables apart.
_ID = "(lpad(to_hex(1760000000000 + n * {between}), 12, '0') || '7{kind}8000' || lpad(to_hex(n), 12, '0'))::uuid"
_ADDRESS = """'{"name": "Ada", "line1": "Mole 1", "city": "Kiel", "postal_code": "24103", "country": "DE"}'"""


def _id(kind: str, *, of: str = "order") -> str:
    made = _ID.format(between=_MILLISECONDS_BETWEEN_ORDERS, kind=kind)
    return made.replace("8000", "800' || line || '") if of == "line" else made


_AT = f"to_timestamp((1760000000000 + n * {_MILLISECONDS_BETWEEN_ORDERS}) / 1000.0)"
_SKU = "'SKU-' || ((n * 7919 + line * 104729) %% %(articles)s)"

# Once for each article, `n` counts them.
ARTICLES = {
    "catalog_product": f"""
        INSERT INTO catalog_product (id, handle, title, description, category, image_url, published)
        SELECT {_id("a00")}, 'product-' || n, 'Product ' || n, 'Made to fill a shelf.', 'Category ' || n %% 40, '', true
        FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n""",
    "catalog_article": f"""
        INSERT INTO catalog_article (id, product_id, sku, name, tax_class, image_url, position, published)
        SELECT {_id("a01")}, {_id("a00")}, 'SKU-' || n, 'Article ' || n, 'standard', '', 1, true
        FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n""",
    "catalog_price": f"""
        INSERT INTO catalog_price (id, article_id, currency, amount)
        SELECT {_id("a02")}, {_id("a01")}, 'EUR', 100 + n %% 10000
        FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n""",
    "inventory_stock": """
        INSERT INTO inventory_stock (sku, on_hand, held, updated_at)
        SELECT 'SKU-' || n, 10000, 0, now() FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n""",
}

# Once for each order; a shopper buys four times.
_USER = _id("000").replace("n * ", "n / 4 * ").replace("to_hex(n)", "to_hex(n / 4)")
_CHECKOUT, _ORDER, _PAYMENT = _id("001"), _id("002"), _id("003")
_ADDRESSES = f"{_ADDRESS}, {_ADDRESS}"
_EMAIL = "'guest-' || n || '@example.com'"
_N = "FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n"
_LINES = f"{_N}, generate_series(1, 2) AS line"
ORDERS = {
    "accounts_user": f"""
        INSERT INTO accounts_user (id, password, name, is_superuser, is_guest, is_staff, is_active)
        SELECT DISTINCT {_USER}, '!', '', false, true, false, true {_N} ON CONFLICT DO NOTHING""",
    "cart_cart": f"""
        INSERT INTO cart_cart (id, currency, version, updated_at)
        SELECT DISTINCT {_USER}, 'EUR', 2, now() {_N} ON CONFLICT DO NOTHING""",
    "checkout_checkout": f"""
        INSERT INTO checkout_checkout (
            id, user_id, guest, cart_id, cart_version, status, currency, subtotal_minor, discount_minor, shipping_minor,
            tax_minor, total_minor, email, language, shipping_address, billing_address, shipping_method, quote_hash,
            expires_at, created_at)
        SELECT {_CHECKOUT}, {_USER}, true, {_USER}, 1, 'ordered', 'EUR', 2000, 0, 490, 398, 2490,
               {_EMAIL}, 'en', {_ADDRESSES}, 'standard', md5(n::text), {_AT}, {_AT} {_N}""",
    "checkout_line": f"""
        INSERT INTO checkout_line (checkout_id, position, sku, name, quantity, unit_price_minor, discount_minor,
                                   tax_minor, line_total_minor)
        SELECT {_CHECKOUT}, line, {_SKU}, 'Article', 1, 1000, 0, 160, 1000 {_LINES}""",
    "inventory_reservation": f"""
        INSERT INTO inventory_reservation (id, holder, state, created_at)
        SELECT {_CHECKOUT}, {_USER}, 'committed', {_AT} {_N}""",
    "inventory_reservation_line": f"""
        INSERT INTO inventory_reservation_line (reservation_id, sku, quantity)
        SELECT {_CHECKOUT}, {_SKU}, 1 {_LINES} ON CONFLICT DO NOTHING""",
    "orders_order": f"""
        INSERT INTO orders_order (
            id, number, checkout_id, user_id, guest, status, currency, subtotal_minor, discount_minor, shipping_minor,
            tax_minor, total_minor, prices_include_tax, captured_minor, payment_id, email, language, shipping_address,
            billing_address, shipping_method, payment_deadline, created_at, updated_at)
        SELECT {_ORDER}, 'N-' || n, {_CHECKOUT}, {_USER}, true, 'paid', 'EUR', 2000, 0, 490, 398, 2490, true, 2490,
               {_PAYMENT}, {_EMAIL}, 'en', {_ADDRESSES}, 'standard', {_AT}, {_AT}, {_AT}
        {_N}""",
    "orders_line": f"""
        INSERT INTO orders_line (order_id, position, sku, name, quantity, unit_price_minor, discount_minor, tax_minor,
                                 line_total_minor)
        SELECT {_ORDER}, line, {_SKU}, 'Article', 1, 1000, 0, 160, 1000 {_LINES}""",
    "orders_entry": f"""
        INSERT INTO orders_entry (order_id, id, at, type, detail)
        SELECT {_ORDER}, {_id("004", of="line")}, {_AT}, 'placed', '' {_LINES}""",
    "orders_capture": f"""
        INSERT INTO orders_capture (payment_id, order_id, amount_minor, currency, at)
        SELECT {_PAYMENT}, {_ORDER}, 2490, 'EUR', {_AT} {_N}""",
    "payments_payable": f"""
        INSERT INTO payments_payable (order_id, user_id, guest, number, amount, currency, deadline, state)
        SELECT {_ORDER}, {_USER}, true, 'N-' || n, 2490, 'EUR', {_AT}, 'settled' {_N}""",
    "payments_attempt": f"""
        INSERT INTO payments_attempt (
            id, order_id, user_id, gateway, reference, session_id, status, amount, currency, captured, return_url,
            redirect_url, expires_at, created_at, moved_at)
        SELECT {_PAYMENT}, {_ORDER}, {_USER}, 'sandbox', 'N-' || n, 'sess_' || n, 'succeeded', 2490, 'EUR', 2490,
               'https://shop.example.com', 'https://gateway.example.com', {_AT}, {_AT}, {_AT} {_N}""",
    "payments_move": f"""
        INSERT INTO payments_move (id, attempt_id, at, from_status, to_status, source)
        SELECT {_id("005", of="line")}, {_PAYMENT}, {_AT}, 'pending', 'succeeded', 'callback'
        {_LINES}""",
    "payments_callback": f"""
        INSERT INTO payments_callback (id, gateway, event_id, type, session_id, body, headers, state, received_at)
        SELECT {_id("006")}, 'sandbox', 'evt_' || n, 'session.paid', 'sess_' || n, '{{}}', '{{}}', 'applied', {_AT}
        {_N}""",
    "outbox_aggregate": f"""
        INSERT INTO outbox_aggregate (aggregate, key, sequence) SELECT 'order', {_ORDER}, 2 {_N}""",
    "event_log": f"""
        INSERT INTO event_log (id, topic, type, aggregate, key, sequence, payload, headers, occurred_at)
        SELECT {_id("007", of="line")}, 'order.created', 'order.created.v1', 'order',
               {_ORDER}, line, '{{}}', '{{}}', {_AT} {_LINES}""",
    "kafka_inbox": f"""
        INSERT INTO kafka_inbox (consumer, event_id, handled_at)
        SELECT (ARRAY['payments', 'analytics'])[line], {_id("007", of="line")}, {_AT} {_LINES}""",
    "notifications_mail": f"""
        INSERT INTO notifications_mail (id, event_id, template, recipient, language, order_id, order_number, user_id,
                                        guest, amount_minor, currency, occurred_at, state, created_at, sent_at)
        SELECT {_id("008", of="line")}, {_id("007")},
               (ARRAY['order_confirmation', 'payment_receipt'])[line], {_EMAIL}, 'en', {_ORDER},
               'N-' || n, {_USER}, true, 2490, 'EUR', {_AT}, 'sent', {_AT}, {_AT} {_LINES}""",
    "idempotency_key": f"""
        INSERT INTO idempotency_key (id, user_id, method, path, key, body_digest, state, holder, lease_expires_at,
                                     status, headers, body, created_at)
        SELECT {_id("009")}, {_USER}, 'POST', '/orders', 'key-' || n, '', 'done', {_id("009")}, {_AT}, 201, '{{}}',
               convert_to(repeat('x', 500), 'UTF8'), {_AT} {_N}""",
}


def fill(url: str, *, orders: int, articles: int) -> None:
    """Write so many orders of so many articles, and refresh the planner's statistics."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET synchronous_commit = off")
        for name, statement in ARTICLES.items():
            connection.execute(statement, {"first": 1, "last": articles, "articles": articles})
            print(f"{name}: {articles:,}")
        pieces = [(first, min(first + _PIECE, orders + 1) - 1) for first in range(1, orders + 1, _PIECE)]
        for name, statement in ORDERS.items():
            for first, last in tqdm(pieces, desc=name, unit="x100k", disable=None):
                connection.execute(statement, {"first": first, "last": last, "articles": articles})
            print(f"{name}: {orders:,} orders' worth")
        connection.execute("VACUUM ANALYZE")


def main() -> None:
    """Fill the database."""
    parser = argparse.ArgumentParser(prog="python -m bench.fill", description=__doc__)
    parser.add_argument("--orders", type=int, default=1_000_000)
    parser.add_argument("--articles", type=int, default=50_000)
    options = parser.parse_args()
    fill(os.environ["DATABASE_URL"], orders=options.orders, articles=options.articles)


if __name__ == "__main__":
    main()
