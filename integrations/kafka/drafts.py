"""Statements on the draft of a rebuild: its inbox says which events are in it, under a consumer's name of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

from shop.kernel.outbox.instants import first_id_at

# Nothing is told before it happens: the log is entered at the first day's first id. What is told late has a later one.
_NOT_DRAFTED = """
FROM event_log AS told JOIN kafka_inbox AS handled ON handled.consumer = %s AND handled.event_id = told.id
WHERE told.id > %s AND told.type = ANY(%s::text[]) AND told.occurred_at >= %s AND told.occurred_at < %s
  AND NOT EXISTS (SELECT FROM kafka_inbox AS drafted WHERE drafted.consumer = %s AND drafted.event_id = told.id)
"""


@dataclass(frozen=True, kw_only=True)
class Draft:
    """What is made anew: the consumer's effects of these types that happened from `since` to before `until`."""

    consumer: str
    name: str
    types: Sequence[str]
    since: datetime
    until: datetime


def draft_name(*, consumer: str, replay_id: UUID) -> str:
    """Return the name under which a rebuild notes what is in its draft."""
    return f"{consumer} draft {replay_id}"


def not_drafted(draft: Draft, *, after: UUID | None, limit: int) -> list[UUID]:
    """Return events that the consumer has handled and the draft does not hold, by id, behind `after`."""
    return [
        event_id
        for (event_id,) in _rows(f"SELECT told.id {_NOT_DRAFTED} ORDER BY told.id LIMIT %s", draft, after, limit)
    ]


def count_not_drafted(draft: Draft) -> int:
    """Count them all."""
    ((count,),) = _rows(f"SELECT count(*) {_NOT_DRAFTED}", draft, None)
    return int(count)


def forget_draft(draft: Draft) -> None:
    """Forget which events the draft holds."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM kafka_inbox WHERE consumer = %s", [draft.name])


def _rows(statement: str, draft: Draft, after: UUID | None, *more: int) -> list[tuple[Any, ...]]:
    first = first_id_at(draft.since)
    begin = UUID(int=first.int - 1) if after is None else max(after, UUID(int=first.int - 1))
    with connection.cursor() as cursor:
        cursor.execute(
            statement,
            [draft.consumer, begin, list(draft.types), draft.since, draft.until, draft.name, *more],
        )
        return list(cursor.fetchall())
