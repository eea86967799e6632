from celery import shared_task

from integrations.kafka import housekeeping, parking
from shop.kernel.clock import utc_now
from shop.kernel.clockwatch.services import may_forget
from shop.kernel.clockwatch.uptime import uptime
from shop.kernel.outbox.services import keep_partitions


@shared_task(name="integrations.kafka.tasks.redrive_parked")
def redrive_parked(**_: object) -> int:
    """Try the parked events that are due."""
    return parking.redrive_due(now=utc_now())


@shared_task(name="integrations.kafka.tasks.keep_event_log")
def keep_event_log(**_: object) -> None:
    """Make partitions ahead, drop old ones, forget inbox rows whose events are no longer in the log.

    A clock that is not believed drops nothing; there are partitions for weeks ahead.
    """
    now = utc_now()
    if not may_forget(now=now, uptime=uptime()):
        return
    keep_partitions(now=now)
    housekeeping.forget_old_inbox_rows(now=now)
