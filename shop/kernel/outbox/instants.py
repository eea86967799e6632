"""A UUIDv7 begins with the millisecond of its making, so a range of time is a range of ids."""

from datetime import UTC, datetime
from uuid import UUID

_RANDOM_BITS = 80


def first_id_at(instant: datetime) -> UUID:
    """Return the lowest id that could have been made at `instant`; every id made before is lower.

    None was made before 1970, where its milliseconds begin.
    """
    milliseconds = max(0, int(instant.timestamp() * 1000))
    return UUID(int=milliseconds << _RANDOM_BITS)


def instant_of(event_id: UUID) -> datetime:
    """Return when a UUIDv7 was made, to the millisecond."""
    return datetime.fromtimestamp((event_id.int >> _RANDOM_BITS) / 1000, UTC)
