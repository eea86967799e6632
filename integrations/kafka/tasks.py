from celery import shared_task

from integrations.kafka import housekeeping, parking
from shop.kernel.clock import utc_now
from shop.kernel.outbox.services import keep_partitions


@shared_task(name="integrations.kafka.tasks.redrive_parked")
def redrive_parked(**_: object) -> int:
    """Try the parked events that are due."""
    return parking.redrive_due(now=utc_now())


@shared_task(name="integrations.kafka.tasks.keep_event_log")
def keep_event_log(**_: object) -> None:
    """Make partitions ahead, drop old ones, forget inbox rows whose events are no longer in the log."""
    now = utc_now()
    keep_partitions(now=now)
    housekeeping.forget_old_inbox_rows(now=now)
