"""What the outbox hands to those who carry and replay its events."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID


# Tuples, and not dataclasses: the relay makes thousands of them a second.
class Told(NamedTuple):
    """One fact as the log keeps it; `data` is its JSON, `sequence` its place among its aggregate's facts."""

    id: UUID
    topic: str
    type: str
    key: UUID
    sequence: int
    data: bytes
    headers: dict[str, str]
    occurred_at: datetime


class Queued(NamedTuple):
    """A fact Kafka has not acknowledged. `told` is None when the log holds no such event."""

    position: int
    event_id: UUID
    key: UUID
    shard: int
    told: Told | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """How much waits in the queue; `oldest_at` is None when nothing does."""

    pending: int
    failed: int
    oldest_at: datetime | None
