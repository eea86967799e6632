"""May deadlines be enforced? Not by a clock that has just leapt, nor by one that contradicts the database's."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import structlog
from django.conf import settings
from django.db import connection
from prometheus_client import Counter, Gauge

from shop.kernel.clockwatch.models import Watch
from shop.kernel.clockwatch.uptime import Uptime
from shop.kernel.transactions import unit_of_work

log = structlog.get_logger(__name__)

# Of the window: settings that shorten the window shorten the settling with it.
_SETTLING_SHARE = 6

doubts = Counter("shop_clock_doubts_total", "Times deadlines stopped being enforced, and why.", ["what", "why"])
suspended = Gauge(
    "shop_clock_suspended", "1 while deadlines are not enforced.", ["what"], multiprocess_mode="mostrecent"
)


class Doubt(StrEnum):
    """Why the clock is not believed."""

    DISAGREEING = "disagreeing"
    DOWNTIME = "downtime"
    LEAP = "leap"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What the clocks show at one instant: ours, the database's, and how long this machine has been up."""

    now: datetime
    database_now: datetime
    uptime: Uptime


@unit_of_work
def may_enforce(*, what: str, window_seconds: float, now: datetime, uptime: Uptime) -> bool:
    """Say whether deadlines of this kind may be enforced now, and remember what the clocks show.

    `window_seconds` is how long the deadlines give people. After a leap of the clock nothing is enforced for a whole
    window: what was begun before has its full time then, and what was begun since is not due earlier. After a
    downtime the time did pass; a short while lets the messages of that time come in. While our clock and the
    database's disagree nothing is enforced. CLOCK_LEAP_SECONDS = 0 believes every clock.
    """
    if not settings.CLOCK_LEAP_SECONDS:
        return True
    reading = Reading(now=now, database_now=_database_now(), uptime=uptime)
    _begin(what, reading)
    watch = Watch.objects.select_for_update().get(what=what)
    doubt = _doubt(watch, reading)
    if doubt is not None:
        _suspend(watch, doubt, reading, window_seconds)
    if doubt is not Doubt.DISAGREEING:
        _remember(watch, reading)
    suspended.labels(what).set(watch.state != Watch.State.STEADY)
    watch.save()
    return watch.state == Watch.State.STEADY


def may_forget(*, now: datetime, uptime: Uptime) -> bool:
    """Say whether what is old may be deleted: no watch is suspended, and none would be by what the clocks show now.

    It remembers nothing itself: whoever forgets comes once an hour, and an hour between two looks is no downtime.
    """
    if not settings.CLOCK_LEAP_SECONDS:
        return True
    reading = Reading(now=now, database_now=_database_now(), uptime=uptime)
    watches = Watch.objects.all()
    doubted = [watch.what for watch in watches if watch.state != Watch.State.STEADY or _doubt(watch, reading)]
    if doubted:
        log.warning("clock.nothing_forgotten", watches=doubted)
    return not doubted


def _database_now() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (now,) = cursor.fetchone()
    found: datetime = now
    return found


def _begin(what: str, reading: Reading) -> None:
    """Begin to watch: nothing speaks against the very first reading."""
    first = Watch(
        what=what,
        state=Watch.State.STEADY,
        seen_at=reading.now,
        boot_id=reading.uptime.boot_id,
        up_seconds=reading.uptime.seconds,
    )
    Watch.objects.bulk_create([first], ignore_conflicts=True)


def _doubt(watch: Watch, reading: Reading) -> Doubt | None:
    if abs((reading.now - reading.database_now).total_seconds()) > settings.CLOCK_SKEW_SECONDS:
        return Doubt.DISAGREEING
    passed = (reading.now - watch.seen_at).total_seconds()
    # Clocks of two machines take turns here: a little backwards is nothing.
    if -settings.CLOCK_SKEW_SECONDS <= passed <= settings.CLOCK_LEAP_SECONDS:
        return None
    is_same_start = watch.boot_id == reading.uptime.boot_id != ""
    lived = reading.uptime.seconds - watch.up_seconds
    if is_same_start and abs(passed - lived) <= settings.CLOCK_SKEW_SECONDS:
        return Doubt.DOWNTIME
    return Doubt.LEAP


def _suspend(watch: Watch, doubt: Doubt, reading: Reading, window_seconds: float) -> None:
    state = Watch.State.DISAGREEING if doubt is Doubt.DISAGREEING else Watch.State.SETTLING
    if doubt is Doubt.LEAP:
        # Also instead of a later instant: that was told by a clock that was wrong.
        watch.suspended_until = reading.now + timedelta(seconds=window_seconds)
    elif doubt is Doubt.DOWNTIME:
        settled_at = reading.now + timedelta(
            seconds=min(settings.CLOCK_SETTLING_SECONDS, window_seconds / _SETTLING_SHARE)
        )
        watch.suspended_until = max(settled_at, watch.suspended_until or settled_at)
    if doubt is not Doubt.DISAGREEING or watch.state != state:
        doubts.labels(watch.what, doubt.value).inc()
        (log.warning if doubt is Doubt.DOWNTIME else log.error)(
            f"clock.{doubt.value}",
            what=watch.what,
            now=str(reading.now),
            database_now=str(reading.database_now),
            last_seen_at=str(watch.seen_at),
            suspended_until=str(watch.suspended_until),
        )
    watch.state = state


def _remember(watch: Watch, reading: Reading) -> None:
    if watch.suspended_until is not None and reading.now < watch.suspended_until:
        watch.state = Watch.State.SETTLING
    elif watch.state != Watch.State.STEADY:
        log.info("clock.steady", what=watch.what)
        watch.state, watch.suspended_until = Watch.State.STEADY, None
    watch.seen_at = reading.now
    watch.boot_id, watch.up_seconds = reading.uptime.boot_id, reading.uptime.seconds
