"""Replication slots: how far those have come who capture the log from PostgreSQL's WAL instead of the queue."""

from dataclasses import dataclass

from django.db import connection

# What a slot has not confirmed is what its reader has not heard, and what the server cannot drop from its disk.
_SLOTS = """
SELECT slot_name, active, coalesce(pg_current_wal_lsn() - confirmed_flush_lsn, 0)::float8
FROM pg_replication_slots WHERE slot_type = 'logical' AND database = current_database() AND NOT temporary
ORDER BY slot_name
"""


@dataclass(frozen=True, slots=True)
class Slot:
    """A slot of this database: whether somebody reads it now, and how many bytes of WAL it has yet to confirm."""

    name: str
    active: bool
    behind_bytes: float


def slots() -> list[Slot]:
    """Return this database's logical replication slots, none where relays carry the events."""
    with connection.cursor() as cursor:
        cursor.execute(_SLOTS)
        return [Slot(*row) for row in cursor.fetchall()]
