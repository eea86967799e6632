"""The queue as the relay sees it. One relay at a time reads a shard; none reads what it has in flight already."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
from django.db import connection, transaction

from shop.kernel.outbox.dto import Depth, Queued, Told
from shop.kernel.outbox.instants import instant_of
from shop.kernel.outbox.services import shard_of
from shop.kernel.outbox.wakeup import wake_relay

# The batch is fixed before the log is read: with fresh or stale statistics alike, the log is entered by its
# primary key, once for each row of the batch. What is in flight is a list that PostgreSQL hashes.
_READ = """
WITH batch AS MATERIALIZED (
    SELECT position, event_id, key, shard, replay_id, replay_target FROM outbox_pending
    WHERE position > %s::bigint AND state = 'pending' AND shard = ANY(%s::smallint[]) AND position <> ALL(%s::bigint[])
      AND NOT EXISTS (SELECT FROM outbox_pending AS refused
                      WHERE refused.state = 'failed' AND refused.key = outbox_pending.key)
    ORDER BY position LIMIT %s
)
SELECT batch.position, batch.event_id, batch.key, batch.shard,
       log.topic, log.type, log.sequence, log.payload::text, log.headers,
       extract(epoch FROM log.occurred_at)::float8, batch.replay_id, batch.replay_target
FROM batch LEFT JOIN event_log AS log ON log.id = batch.event_id
ORDER BY batch.position
"""

# `pg_current_xact_id()`: the transaction has its number before it draws positions, as it has in `write`; the relays'
# floor relies on it. What a replay sends is its own row.
_QUEUE = """
INSERT INTO outbox_pending (event_id, key, shard, replay_id, replay_target)
SELECT id, key, shard, %s::uuid, %s
FROM unnest(%s::uuid[], %s::uuid[], %s::smallint[]) WITH ORDINALITY AS again (id, key, shard, place)
WHERE pg_current_xact_id() IS NOT NULL
  AND (%s::uuid IS NOT NULL OR NOT EXISTS (SELECT FROM outbox_pending WHERE event_id = again.id AND replay_id IS NULL))
ORDER BY place
"""

_HEADERS = msgspec.json.Decoder(dict[str, str])


def read(*, shards: Collection[int], in_flight: Sequence[int], limit: int, floor: int = 0) -> list[Queued]:
    """Return the oldest waiting events of these shards, in the order in which each key's were told.

    Left out are the positions in flight, and every event of a key whose earlier event was refused. Nothing waits at
    or below `floor` (see `shop.kernel.outbox.floor`): the read begins above it.
    """
    with connection.cursor() as cursor:
        cursor.execute(_READ, [floor, list(shards), list(in_flight), limit])
        return [_queued(row) for row in cursor.fetchall()]


def prepare_to_carry() -> None:
    """Let this connection's commits not wait for the disk: a deletion that a crash undoes is only a repeat."""
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = off")


def remove(*, positions: Sequence[int]) -> int:
    """Take acknowledged events out of the queue; return how many were still there."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM outbox_pending WHERE position = ANY(%s::bigint[]) AND state = 'pending'", [list(positions)]
        )
        changed: int = cursor.rowcount
    return changed


def refuse(*, position: int, reason: str) -> None:
    """Mark an event that Kafka will never take: it and its key's later events stay until somebody acts."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE outbox_pending SET state = 'failed', attempts = attempts + 1, last_error = %s WHERE position = %s",
            [reason, position],
        )


def retry_refused(*, positions: Sequence[int]) -> int:
    """Put refused events back to where they stood in the queue; return how many were refused."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE outbox_pending SET state = 'pending' WHERE position = ANY(%s::bigint[]) AND state = 'failed'",
            [list(positions)],
        )
        retried: int = cursor.rowcount
    wake_relay()
    return retried


def send_again(*, events: Sequence[tuple[UUID, UUID]]) -> int:
    """Queue events (id, key) once more, in the order given; return how many were not queued already."""
    return _queue(events, replay_id=None, target="")


def send_to(*, target: str, replay_id: UUID, events: Sequence[tuple[UUID, UUID]]) -> None:
    """Queue events (id, key) once more for one consumer, in the order given; they are marked for it on the wire."""
    _queue(events, replay_id=replay_id, target=target)
    transaction.on_commit(wake_relay)


def depth() -> Depth:
    """Count what waits, and say since when the oldest does; what a replay sends once more is old and not late."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FILTER (WHERE state = 'pending'), count(*) FILTER (WHERE state = 'failed'),"
            " (SELECT event_id FROM outbox_pending WHERE replay_id IS NULL ORDER BY position LIMIT 1)"
            " FROM outbox_pending"
        )
        pending, failed, oldest = cursor.fetchone()
    return Depth(pending=pending, failed=failed, oldest_at=instant_of(oldest) if oldest else None)


def _queue(events: Sequence[tuple[UUID, UUID]], *, replay_id: UUID | None, target: str) -> int:
    columns = [id_ for id_, _ in events], [key for _, key in events], [shard_of(str(key)) for _, key in events]
    with connection.cursor() as cursor:
        cursor.execute(_QUEUE, [replay_id, target, *columns, replay_id])
        changed: int = cursor.rowcount
    return changed


def _queued(row: tuple[Any, ...]) -> Queued:
    position, event_id, key, shard, topic, type_, sequence, payload, headers, occurred_at, replay_id, target = row
    told = None
    if topic is not None:
        told = Told(
            id=event_id,
            topic=topic,
            type=type_,
            key=key,
            sequence=sequence,
            data=payload.encode(),
            headers=_HEADERS.decode(headers) | _of_replay(replay_id, target),
            occurred_at=datetime.fromtimestamp(occurred_at, UTC),
        )
    return Queued(position=position, event_id=event_id, key=key, shard=shard, told=told)


def _of_replay(replay_id: UUID | None, target: str) -> dict[str, str]:
    return {"replayid": str(replay_id), "replaytarget": target} if replay_id else {}
