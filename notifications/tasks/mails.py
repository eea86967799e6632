"""A wake-up soon after mails were written, and a clock for all that were not sent then."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from time import monotonic

import structlog
from celery import shared_task
from django.core.cache import cache
from django.core.mail import get_connection
from django.core.mail.backends.base import BaseEmailBackend

from notifications import queries, services
from notifications.dto import Delivery
from shop.kernel.clock import utc_now

log = structlog.get_logger(__name__)

BATCH = 200
# While the mail server is away, wake-ups leave their mails to the clock: a server that does not even refuse
# would otherwise keep every worker waiting, and payments with them.
_AWAY = "notifications.mail_server_away"
_AWAY_SECONDS = 60
# One run at a time. It saves work and guards nothing: a mail is claimed in the database.
_RUNNING = "notifications.send_mails"
_RUN_SECONDS = 60


@shared_task(name="notifications.tasks.send_new_mails")
def send_new_mails(**_: object) -> None:
    """Send the mails that have just been written."""
    if not cache.get(_AWAY):
        send_mails()


@shared_task(name="notifications.tasks.send_mails")
def send_mails(**_: object) -> None:
    """Send all mails that are due over one connection; set aside those whose senders were killed."""
    if not cache.add(_RUNNING, value=True, timeout=_RUN_SECONDS):
        return
    try:
        services.give_up_lost(now=utc_now(), limit=BATCH)
        _send_due()
    finally:
        cache.delete(_RUNNING)


def _send_due() -> None:
    """Send until nothing more can be sent now, and not for so long that the task would be taken for lost."""
    ends_at = monotonic() + _RUN_SECONDS / 2
    with _connection() as connection:
        while _send_batch(connection) and monotonic() < ends_at:
            pass


def _send_batch(connection: BaseEmailBackend) -> bool:
    """Send the mails whose turn has come; return whether any could be, so that more may be due by now."""
    sent = 0
    for mail_id in queries.due_mails(now=utc_now(), limit=BATCH):
        try:
            delivery = services.deliver(mail_id=mail_id, connection=connection, now=utc_now())
        except Exception:
            log.exception("task.row_failed", id=str(mail_id))
            continue
        if delivery is Delivery.SERVER_AWAY:
            cache.set(_AWAY, value=True, timeout=_AWAY_SECONDS)
            return False
        sent += delivery is Delivery.SENT
    if sent:
        cache.delete(_AWAY)
    return sent > 0


@contextmanager
def _connection() -> Iterator[BaseEmailBackend]:
    connection = get_connection()
    try:
        yield connection
    finally:
        with suppress(OSError):
            connection.close()
