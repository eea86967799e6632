"""Statements on the inbox and the parking place. Each handles a whole batch at once."""

import json
from collections.abc import Collection, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection

from integrations.kafka.envelope import Arrived
from integrations.kafka.models import Parked
from shop.kernel.outbox.instants import first_id_at

# Rows are entered in the order of their ids: two members that meet after a rebalance wait for each other in turn.
_ENTER = """
WITH told AS (
    SELECT * FROM unnest(%s::uuid[], %s::text[]) AS told (id, key)
), waiting AS (
    SELECT DISTINCT parked.key FROM kafka_parked AS parked
    WHERE parked.consumer = %s AND parked.state = 'waiting' AND parked.key IN (SELECT key FROM told)
), entered AS (
    INSERT INTO kafka_inbox (consumer, event_id, handled_at)
    SELECT %s, id, %s FROM told WHERE key NOT IN (SELECT key FROM waiting) ORDER BY id
    ON CONFLICT DO NOTHING RETURNING event_id
)
SELECT event_id, true FROM entered
UNION ALL
SELECT id, false FROM told WHERE key IN (SELECT key FROM waiting)
   AND NOT EXISTS (SELECT FROM kafka_inbox WHERE consumer = %s AND event_id = told.id)
"""
_PARK = """
WITH parked AS (
    INSERT INTO kafka_parked (consumer, event_id, type, key, topic, value, headers, state, attempts, next_attempt_at,
                              last_error, parked_at)
    SELECT %s, id, type, key, topic, value, headers::jsonb, state, attempts, next_attempt_at, error, %s
    FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::text[], %s::bytea[], %s::text[], %s::text[], %s::int[],
                %s::timestamptz[], %s::text[])
        WITH ORDINALITY AS told (id, type, key, topic, value, headers, state, attempts, next_attempt_at, error, place)
    ORDER BY place
    ON CONFLICT (consumer, event_id) DO NOTHING
)
DELETE FROM kafka_inbox WHERE consumer = %s AND event_id = ANY(%s::uuid[])
"""
# The youngest second is left out: it is on its way. Older than ten seconds makes no difference to whether more and more
# wait, and would have to be read each time.
_UNDELIVERED = """
SELECT count(*)
FROM event_log AS told JOIN unnest(%s::text[], %s::text[]) AS listener (consumer, type) ON listener.type = told.type
WHERE told.id >= %s AND told.id < %s
  AND NOT EXISTS (SELECT FROM kafka_inbox AS handled
                  WHERE handled.consumer = listener.consumer AND handled.event_id = told.id)
  AND NOT EXISTS (SELECT FROM kafka_parked AS parked
                  WHERE parked.consumer = listener.consumer AND parked.event_id = told.id)
"""


@dataclass(frozen=True, slots=True)
class Entered:
    """What is new to this consumer and may be handled, and what is new and waits behind an event of its key."""

    fresh: frozenset[UUID]
    waiting: frozenset[UUID]


@dataclass(frozen=True, slots=True, kw_only=True)
class Aside:
    """An event to park: tried and failed (`attempts` 1), waiting behind one that failed (0), or beyond help."""

    event: Arrived
    state: Parked.State
    attempts: int
    next_attempt_at: datetime
    error: str


def enter(*, consumer: str, events: Sequence[Arrived], now: datetime) -> Entered:
    """Enter a batch into the inbox and return what was not there; what has to wait is not entered."""
    with connection.cursor() as cursor:
        cursor.execute(
            _ENTER,
            [[event.id for event in events], [event.key for event in events], consumer, consumer, now, consumer],
        )
        rows = cursor.fetchall()
    return Entered(
        fresh=frozenset(event_id for event_id, entered in rows if entered),
        waiting=frozenset(event_id for event_id, entered in rows if not entered),
    )


def enter_again(*, consumer: str, event_id: UUID, now: datetime) -> bool:
    """Enter a parked event whose turn has come; False when it has been handled meanwhile."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO kafka_inbox (consumer, event_id, handled_at) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
            [consumer, event_id, now],
        )
        entered: int = cursor.rowcount
    return entered == 1


def park(*, consumer: str, asides: Sequence[Aside], now: datetime, entered: AbstractSet[UUID] = frozenset()) -> None:
    """Set events aside, in this order; those this unit of work has `entered` leave the inbox again.

    Of any other a row there says that it was handled: another member may have done so meanwhile.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            _PARK,
            [
                consumer,
                now,
                [aside.event.id for aside in asides],
                [aside.event.type for aside in asides],
                [aside.event.key for aside in asides],
                [aside.event.topic for aside in asides],
                [aside.event.data for aside in asides],
                [json.dumps(aside.event.headers) for aside in asides],
                [str(aside.state) for aside in asides],
                [aside.attempts for aside in asides],
                [aside.next_attempt_at for aside in asides],
                [aside.error for aside in asides],
                consumer,
                [aside.event.id for aside in asides if aside.event.id in entered],
            ],
        )


def settled(*, consumer: str, event_ids: Collection[UUID]) -> frozenset[UUID]:
    """Return those of the events this consumer has handled or set aside: nothing is missing there."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT event_id FROM kafka_inbox WHERE consumer = %s AND event_id = ANY(%s::uuid[])"
            " UNION ALL SELECT event_id FROM kafka_parked WHERE consumer = %s AND event_id = ANY(%s::uuid[])",
            [consumer, list(event_ids), consumer, list(event_ids)],
        )
        return frozenset(event_id for (event_id,) in cursor)


def undelivered(*, listeners: Sequence[tuple[str, str]], now: datetime) -> int:
    """Count the events told between ten seconds ago and one that listeners (consumer, type) have not settled yet."""
    with connection.cursor() as cursor:
        cursor.execute(
            _UNDELIVERED,
            [
                [consumer for consumer, _ in listeners],
                [type_name for _, type_name in listeners],
                first_id_at(now - timedelta(seconds=10)),
                first_id_at(now - timedelta(seconds=1)),
            ],
        )
        ((count,),) = cursor.fetchall()
    found: int = count
    return found
