"""The log as support and replays read it: oldest first, a chunk at a time, however much is selected."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from django.db.models import QuerySet

from shop.kernel.outbox.dto import Told
from shop.kernel.outbox.instants import first_id_at
from shop.kernel.outbox.models import LoggedEvent

_FIELDS = ("id", "topic", "type", "key", "sequence", "payload", "headers", "occurred_at")


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which events: those that fit everything that is given. `since` is inclusive, `until` is not."""

    event_ids: tuple[UUID, ...] = ()
    types: tuple[str, ...] = ()
    aggregate: str = ""
    key: UUID | None = None
    correlation_id: str = ""
    since: datetime | None = None
    until: datetime | None = None
    # Where a reader goes on: only what comes behind this event.
    after: UUID | None = None


def chunks(selection: Selection, *, size: int) -> Iterator[list[Told]]:
    """Yield the selected events by the time they were told, `size` at a time.

    Two events of one key that were told within the same few milliseconds may change places: `sequence` says
    which was first, and handlers bear any order.
    """
    after = selection.after
    while True:
        found = _selected(selection)
        if after is not None:
            found = found.filter(id__gt=after)
        rows = list(found.order_by("id").values_list(*_FIELDS)[:size])
        if not rows:
            return
        after = rows[-1][0]
        yield [_told(*row) for row in rows]


def of_key(key: UUID) -> list[Told]:
    """Return the events of one key, in the order of their telling."""
    return [_told(*row) for row in LoggedEvent.objects.filter(key=key).order_by("id").values_list(*_FIELDS)]


def _selected(selection: Selection) -> QuerySet[LoggedEvent]:
    found = LoggedEvent.objects.all()
    if selection.event_ids:
        found = found.filter(id__in=selection.event_ids)
    if selection.types:
        found = found.filter(type__in=selection.types)
    if selection.aggregate:
        found = found.filter(aggregate=selection.aggregate)
    if selection.key:
        found = found.filter(key=selection.key)
    if selection.correlation_id:
        found = found.filter(headers__correlationid=selection.correlation_id)
    if selection.since:
        found = found.filter(id__gte=first_id_at(selection.since))
    if selection.until:
        found = found.filter(id__lt=first_id_at(selection.until))
    return found


def _told(*row: Any) -> Told:
    event_id, topic, type_name, key, sequence, payload, headers, occurred_at = row
    return Told(
        id=event_id,
        topic=topic,
        type=type_name,
        key=key,
        sequence=sequence,
        data=msgspec.json.encode(payload),
        headers=headers,
        occurred_at=occurred_at,
    )
