"""Tell a fact. It is stored with the change that made it true; the relay carries it to Kafka afterwards."""

import json
from zlib import crc32

from django.conf import settings
from django.db import connection, transaction

from shop.kernel.events import Event
from shop.kernel.ids import new_id
from shop.kernel.outbox.partitions import keep_partitions as keep_partitions  # noqa: PLC0414  one of this door's verbs
from shop.kernel.outbox.wakeup import wake_relay
from shop.kernel.tracing import Trace, current_trace
from shop.kernel.transactions import Outgoing, current_unit_of_work, writes_outgoing_events

SHARDS = 64

# The counter row is bumped first. Its lock is what makes the order of commits the order of sequences for one
# aggregate, and the queue's positions, drawn after it, follow the same order. The counters are bumped in the
# order of their keys and last of all a unit does: no two units can wait for each other here.
_LOG = """
WITH told AS (
    SELECT * FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::text[], %s::uuid[], %s::text[],
                         %s::timestamptz[], %s::smallint[], %s::text[])
        WITH ORDINALITY AS told (id, topic, type, aggregate, key, payload, occurred_at, shard, headers, place)
), counted AS (
    INSERT INTO outbox_aggregate AS counter (aggregate, key, sequence)
    SELECT aggregate, key, count(*) FROM told GROUP BY aggregate, key ORDER BY aggregate, key
    ON CONFLICT (aggregate, key) DO UPDATE SET sequence = counter.sequence + EXCLUDED.sequence
    RETURNING aggregate, key, sequence
), logged AS (
    INSERT INTO event_log (id, topic, type, aggregate, key, sequence, payload, headers, occurred_at)
    SELECT told.id, topic, type, aggregate, key,
           counted.sequence - count(*) OVER same + row_number() OVER (same ORDER BY place),
           payload::jsonb, headers::jsonb, occurred_at
    FROM told JOIN counted USING (aggregate, key)
    WINDOW same AS (PARTITION BY aggregate, key)
)
"""
_QUEUE = """
INSERT INTO outbox_pending (event_id, key, shard)
SELECT told.id, key, shard FROM told JOIN counted USING (aggregate, key) ORDER BY place
"""
# Where Debezium reads the log, nobody would take anything out of the queue.
_NO_QUEUE = "SELECT FROM counted"


def publish(event: Event) -> None:
    """Tell `event` when the unit of work under way commits; TransactionMisuse when none is open."""
    current_unit_of_work().outgoing.append((event, current_trace()))


def shard_of(key: str) -> int:
    """Return the shard, 0 to 63, whose leaseholder alone relays this key's events."""
    return crc32(key.encode()) % SHARDS


@writes_outgoing_events
def write(outgoing: list[Outgoing]) -> None:
    """Store the events of one unit of work, log and queue, in one statement, and wake the relay after commit.

    Without OUTBOX_QUEUED the log alone.
    """
    events = [event for event, _ in outgoing]
    with connection.cursor() as cursor:
        cursor.execute(
            _LOG + (_QUEUE if settings.OUTBOX_QUEUED else _NO_QUEUE),
            [
                [new_id() for _ in events],
                [event.topic for event in events],
                [event.type_name() for event in events],
                [event.aggregate for event in events],
                [event.key for event in events],
                [event.encode().decode() for event in events],
                [event.occurred_at for event in events],
                [shard_of(str(event.key)) for event in events],
                [_headers(trace) for _, trace in outgoing],
            ],
        )
    if settings.OUTBOX_QUEUED:
        transaction.on_commit(wake_relay)


def _headers(trace: Trace) -> str:
    named = {
        "correlationid": trace.correlation_id,
        "causationid": trace.causation_id,
        "traceparent": trace.traceparent,
    }
    return json.dumps({name: value for name, value in named.items() if value})
