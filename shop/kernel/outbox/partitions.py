"""The log's weekly partitions: made ahead, and dropped whole when they are old. Nothing is deleted row by row."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta

import structlog
from django.conf import settings
from django.db import OperationalError, connection, transaction

from shop.kernel.outbox.instants import first_id_at, instant_of

WEEKS_AHEAD = 8
_WEEK = timedelta(days=7)
_PREFIX = "event_log_p"
# Whoever tells an event waits behind us while we wait for a lock: a dump or a long read may hold it.
_IMPATIENT = "SET LOCAL lock_timeout = '100ms'"

log = structlog.get_logger(__name__)


def keep_partitions(*, now: datetime) -> None:
    """Make the partitions of this week and the next eight, and drop those older than EVENT_LOG_KEPT_DAYS.

    A partition with an event that Kafka has not acknowledged yet stays. One that cannot be locked at once is
    left for the next hour: the log is never worth making a purchase wait.
    """
    there = set(_existing_weeks())
    oldest_kept = (now - timedelta(days=settings.EVENT_LOG_KEPT_DAYS)).date()
    oldest_needed = min(oldest_kept, (_oldest_pending() or now).date())
    try:
        for week in _wanted_weeks(now=now, not_before=oldest_kept):
            if week not in there:
                _make(week)
        for week in sorted(there):
            if week + _WEEK <= oldest_needed:
                _drop(week)
    except OperationalError as error:
        log.warning("event_log.partitions_not_kept", error=str(error))


def kept_since() -> datetime:
    """Return the instant from which on the log holds everything that was told."""
    return datetime.combine(min(_existing_weeks()), time(), UTC)


def _wanted_weeks(*, now: datetime, not_before: date) -> Iterator[date]:
    """Yield the Mondays from the oldest event that found no partition (usually: this week) to eight weeks ahead."""
    stray = _oldest_stray()
    first = min(now.date(), max(stray.date(), not_before)) if stray else now.date()
    week = first - timedelta(days=first.weekday())
    while week <= now.date() + WEEKS_AHEAD * _WEEK:
        yield week
        week += _WEEK


def _existing_weeks() -> list[date]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'event_log'::regclass"
            " AND inhrelid <> 'event_log_default'::regclass"
        )
        return [datetime.strptime(name, f"{_PREFIX}%Y%m%d").replace(tzinfo=UTC).date() for (name,) in cursor]


def _oldest_stray() -> datetime | None:
    return _instant_of_first("SELECT id FROM event_log_default ORDER BY id LIMIT 1")


def _oldest_pending() -> datetime | None:
    return _instant_of_first("SELECT event_id FROM outbox_pending ORDER BY event_id LIMIT 1")


def _instant_of_first(query: str) -> datetime | None:
    with connection.cursor() as cursor:
        cursor.execute(query)
        row = cursor.fetchone()
    return instant_of(row[0]) if row else None


def _make(week: date) -> None:
    """Attach the week's partition, and move into it what landed in the default one meanwhile."""
    name = f"{_PREFIX}{week:%Y%m%d}"
    start, end = (first_id_at(datetime.combine(day, time(), UTC)) for day in (week, week + _WEEK))
    with transaction.atomic(), connection.cursor() as cursor:
        # Whoever else makes partitions just now waits here, and then finds the work done.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('event_log_partitions'))")
        if week in _existing_weeks():
            return
        cursor.execute(_IMPATIENT)
        cursor.execute(f"CREATE TABLE {name} (LIKE event_log INCLUDING DEFAULTS INCLUDING CONSTRAINTS)")
        if _oldest_stray():
            cursor.execute("ALTER TABLE event_log_default DISABLE TRIGGER event_log_append_only")
            cursor.execute(
                f"WITH moved AS (DELETE FROM event_log_default WHERE id >= %s AND id < %s RETURNING *)"  # noqa: S608  made of a date
                f" INSERT INTO {name} SELECT * FROM moved",
                [start, end],
            )
            cursor.execute("ALTER TABLE event_log_default ENABLE TRIGGER event_log_append_only")
        # Bounds are no parameters in SQL; both are UUIDs made above.
        cursor.execute(f"ALTER TABLE event_log ATTACH PARTITION {name} FOR VALUES FROM ('{start}') TO ('{end}')")
    log.info("event_log.partition_made", partition=name)


def _drop(week: date) -> None:
    name = f"{_PREFIX}{week:%Y%m%d}"
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_IMPATIENT)
        cursor.execute(f"DROP TABLE IF EXISTS {name}")
    log.info("event_log.partition_dropped", partition=name)
