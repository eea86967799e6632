"""Which shards of the queue this relay reads: a fair share, handed over only when nothing is in flight."""

import os
import socket
import time
from collections.abc import Set as AbstractSet
from uuid import UUID

from django.db import connection, transaction

from shop.kernel.ids import new_id
from shop.kernel.outbox.services import SHARDS

ALIVE_SECONDS = 5
BEAT_SECONDS = 1.0
NEXT_TRY_SECONDS = 0.1

_BEAT = """
INSERT INTO kafka_relay (token, host, pid, started_at, expires_at)
VALUES (%s, %s, %s, clock_timestamp(), clock_timestamp() + make_interval(secs => %s))
ON CONFLICT (token) DO UPDATE SET expires_at = EXCLUDED.expires_at
"""
_MAKE = "INSERT INTO kafka_lease (shard) SELECT generate_series(0, %s) ON CONFLICT DO NOTHING"
_CLAIM = """
UPDATE kafka_lease SET owner = %s
WHERE shard IN (SELECT shard FROM kafka_lease WHERE owner IS NULL OR owner NOT IN (SELECT token FROM kafka_relay)
                ORDER BY shard LIMIT %s)
"""


class Leases:
    """One relay's leases, and its sign of life.

    Leases keep duplicates and interleaved retries away. They need not be perfect: whoever reads a shard sends
    what is not yet acknowledged from the lowest position on, so even two readers at once would only repeat.
    """

    def __init__(self) -> None:
        self.token: UUID = new_id()
        self.held: frozenset[int] = frozenset()
        self.readable: frozenset[int] = frozenset()
        self._next_beat = 0.0

    @property
    def are_due(self) -> bool:
        """Whether a second has passed since the last sign of life."""
        return time.monotonic() >= self._next_beat

    def keep(self, *, busy: AbstractSet[int]) -> None:
        """Show that this relay is alive, claim or give up shards.

        `busy` are the shards with events in flight: they are no longer read when they are one too many, and handed
        over by a later beat.
        """
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(_BEAT, [self.token, socket.gethostname(), os.getpid(), ALIVE_SECONDS])
            # One relay at a time; none waits for another, which may have been stopped in the middle of this.
            cursor.execute("SELECT pg_try_advisory_xact_lock(hashtext('kafka_lease'))")
            if cursor.fetchone() == (False,):
                self._next_beat = time.monotonic() + NEXT_TRY_SECONDS
                return
            cursor.execute(_MAKE, [SHARDS - 1])
            share = self._fair_share()
            cursor.execute("SELECT shard FROM kafka_lease WHERE owner = %s ORDER BY shard", [self.token])
            mine = [shard for (shard,) in cursor]
            leaving = frozenset(mine[share:])
            cursor.execute(
                "UPDATE kafka_lease SET owner = NULL WHERE owner = %s AND shard = ANY(%s::smallint[])",
                [self.token, list(leaving - busy)],
            )
            cursor.execute(_CLAIM, [self.token, max(0, share - len(mine))])
            cursor.execute("SELECT shard FROM kafka_lease WHERE owner = %s", [self.token])
            self.held = frozenset(shard for (shard,) in cursor)
        self.readable = self.held - leaving
        self._next_beat = time.monotonic() + BEAT_SECONDS

    def _fair_share(self) -> int:
        """Forget dead relays and return how many shards this one may hold."""
        with connection.cursor() as cursor:
            # Not this one, however long it was held up since its sign of life: it counts itself below.
            cursor.execute("DELETE FROM kafka_relay WHERE expires_at < clock_timestamp() AND token <> %s", [self.token])
            cursor.execute("SELECT token, host, pid FROM kafka_relay ORDER BY token")
            alive = []
            for token, host, pid in cursor.fetchall():
                if token == self.token or not _is_gone(host, pid):
                    alive.append(token)
                else:
                    cursor.execute("DELETE FROM kafka_relay WHERE token = %s", [token])
        whole, rest = divmod(SHARDS, len(alive))
        return whole + (alive.index(self.token) < rest)

    def give_up(self) -> None:
        """Hand all shards over at once; nothing must be in flight."""
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("UPDATE kafka_lease SET owner = NULL WHERE owner = %s", [self.token])
            cursor.execute("DELETE FROM kafka_relay WHERE token = %s", [self.token])
        self.held = self.readable = frozenset()


def _is_gone(host: str, pid: int) -> bool:
    """Tell whether a relay of this very host was killed: its successor need not wait until it expires."""
    if host != socket.gethostname():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        # It lives, as another user's.
        return False
    return False
