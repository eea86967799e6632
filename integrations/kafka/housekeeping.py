"""Keeping the inbox as long as the log, and counting what is parked."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection
from django.db.models import Count, Min

from integrations.kafka.drafts import draft_name
from integrations.kafka.groups import group_names
from integrations.kafka.models import Parked, Replay
from shop.kernel.outbox.instants import first_id_at
from shop.kernel.outbox.partitions import kept_since

# Partitions of the log go by whole weeks: an event must never outlive its inbox row, or a replay would repeat it.
_LONGER = timedelta(days=21)
_CHUNK = 10_000


def forget_old_inbox_rows(*, now: datetime) -> int:
    """Delete the inbox rows of events that left the log three weeks ago, drafts included; return how many.

    An event that Kafka has not taken keeps the log longer than EVENT_LOG_KEPT_DAYS, and with it the inbox.
    """
    left = min(now - timedelta(days=settings.EVENT_LOG_KEPT_DAYS), kept_since())
    before = first_id_at(left - _LONGER)
    return sum(_forget(consumer, before=str(before)) for consumer in [*group_names(), *_drafts()])


def _drafts() -> list[str]:
    """Return the consumers of rebuilds that nobody has brought to an end."""
    left = Replay.objects.filter(mode="rebuild").exclude(outcome="done")
    return [draft_name(consumer=audit.consumers[0], replay_id=audit.id) for audit in left]


def _forget(consumer: str, *, before: str) -> int:
    deleted, last = 0, _CHUNK
    while last == _CHUNK:
        with connection.cursor() as cursor:
            cursor.execute(
                "DELETE FROM kafka_inbox WHERE consumer = %s AND event_id IN (SELECT event_id FROM kafka_inbox"
                " WHERE consumer = %s AND event_id < %s::uuid LIMIT %s)",
                [consumer, consumer, before, _CHUNK],
            )
            last = cursor.rowcount
        deleted += last
    return deleted


def count_parked() -> dict[tuple[str, str], int]:
    """Return how many events each consumer has parked, by consumer and state: `waiting` and `dead`."""
    counts = dict.fromkeys(((consumer, state) for consumer in group_names() for state in ("waiting", "dead")), 0)
    stuck = Parked.objects.exclude(state=Parked.State.DISMISSED).order_by()
    for consumer, state, count in stuck.values_list("consumer", "state").annotate(count=Count("id")):
        counts[consumer, state] = count
    return counts


def parked_due_since() -> datetime | None:
    """Return when the first parked event was due, or will be; None when none waits."""
    waiting = Parked.objects.filter(state=Parked.State.WAITING)
    due: datetime | None = waiting.aggregate(at=Min("next_attempt_at"))["at"]
    return due
