"""Write a delivery for each endpoint that hears an event, with the event's inbox row, in one statement for a batch."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from django.db import connection, transaction

from notifications import metrics
from notifications.services.webhooks.filters import hears
from shop.kernel.clock import rfc3339
from shop.kernel.events import Event
from shop.kernel.ids import new_id
from shop.kernel.tasks import wake_for_all
from shop.kernel.tracing import current_trace
from shop.kernel.transactions import current_unit_of_work, joins_unit_of_work

# Event, its id, the action it is part of, and when it is told.
_Told = tuple[Event, UUID, str, datetime]

_HEARING = "SELECT id, events FROM notifications_webhook_endpoint WHERE state = 'active'"
_WRITE = """
INSERT INTO notifications_webhook_delivery
    (id, endpoint_id, event_id, type, subject, body, correlation_id, next_attempt_at, created_at)
SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::text[], %s::uuid[], %s::text[], %s::text[],
                     %s::timestamptz[], %s::timestamptz[])
ON CONFLICT (event_id, endpoint_id) DO NOTHING
"""


@joins_unit_of_work
def tell(*, event: Event, event_id: UUID, now: datetime) -> None:
    """Tell the event to every endpoint that hears it, once the unit of work commits; an event told before is not.

    The endpoints are asked for once, at the end of a whole batch of events: where there are none, that is all.
    """
    current_unit_of_work().gather(_write, (event, event_id, current_trace().correlation_id, now))


def body_of(*, event_id: UUID, type_name: str, version: int, at: datetime, data: Any) -> str:
    """Return what is signed and sent: Standard Webhooks' `type`, `timestamp` and `data`, with `id` and `version`."""
    message = {"id": str(event_id), "type": type_name, "version": version, "timestamp": rfc3339(at), "data": data}
    return msgspec.json.encode(message).decode()


def insert(rows: list[tuple[Any, ...]]) -> int:
    """Write deliveries in one statement and return how many were new; wake whoever sends them after the commit."""
    with connection.cursor() as cursor:
        cursor.execute(_WRITE, [list(column) for column in zip(*rows, strict=True)])
        written: int = cursor.rowcount
    if written:
        transaction.on_commit(lambda: metrics.webhooks.labels("written").inc(written))
        wake_for_all("notifications.tasks.send_webhooks")
    return written


def _write(told: list[_Told]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_HEARING)
        hearing: list[tuple[UUID, list[str]]] = cursor.fetchall()
    if not hearing:
        return
    rows: list[tuple[Any, ...]] = []
    for event, event_id, correlation_id, now in told:
        heard_by = [endpoint for endpoint, events in hearing if hears(events=events, type_name=event.topic)]
        if heard_by:
            body = body_of(
                event_id=event_id, type_name=event.topic, version=event.version, at=event.occurred_at, data=event
            )
            rows += [
                (new_id(), endpoint, event_id, event.topic, event.key, body, correlation_id, now, now)
                for endpoint in heard_by
            ]
    if rows:
        insert(rows)
