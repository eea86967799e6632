"""Events that wait, written by SQL: log and queue as `publish` leaves them, ten for each order, in one transaction."""

import time

import psycopg

EVENTS_A_KEY = 10
# As large as a `payment.success`.
PAYLOAD = (
    '{"occurred_at": "2026-11-28T12:00:00Z", "payment_id": "%s", "order_id": "%s", "user_id": "%s", "guest": true,'
    ' "gateway": "sandbox", "gateway_reference": "sess_%s", "amount": {"amount": 2490, "currency": "EUR"}}'
)
TOPIC = "payment.success"
_FILL = """
WITH told AS MATERIALIZED (
    SELECT n, uuidv7() AS id,
           md5(%(salt)s || (n %% %(keys)s))::uuid AS key, 1 + n / %(keys)s AS sequence
    FROM generate_series(0, %(events)s - 1) AS n
), logged AS (
    INSERT INTO event_log (id, topic, type, aggregate, key, sequence, payload, headers, occurred_at)
    SELECT id, %(topic)s, %(topic)s || '.v1', 'payment', key, sequence,
           replace(%(payload)s, '%%s', key::text)::jsonb,
           jsonb_build_object('correlationid', id, 'causationid', id), clock_timestamp()
    FROM told
)
INSERT INTO outbox_pending (event_id, key, shard)
SELECT id, key, crc32(convert_to(key::text, 'UTF8')) %% 64 FROM told ORDER BY n
"""


def fill(connection: "psycopg.Connection[tuple]", *, events: int) -> float:
    """Write so many events and return the instant (monotonic) at which all of them became visible at once."""
    values = {
        "salt": str(time.time_ns()),
        "keys": max(1, events // EVENTS_A_KEY),
        "events": events,
        "topic": TOPIC,
        "payload": PAYLOAD,
    }
    connection.execute(_FILL, values)
    return time.monotonic()


def clear(connection: "psycopg.Connection[tuple]") -> None:
    """Forget everything that was told."""
    connection.execute("TRUNCATE outbox_pending, outbox_aggregate, event_log, kafka_inbox, kafka_parked")
