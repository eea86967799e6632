"""Alarm clocks: a wake-up soon after mails were written, and a clock for all that were not sent then."""

from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from time import monotonic

import structlog
from celery import shared_task
from django.conf import settings
from django.core.cache import cache
from django.core.mail import get_connection
from django.core.mail.backends.base import BaseEmailBackend

from notifications import queries, services
from notifications.dto import Delivery
from notifications.services import webhooks
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


# --- merchants' webhooks ---

# One run at a time claims; it saves work and guards nothing: endpoints are claimed in the database.
_WEBHOOKS_RUNNING = "notifications.send_webhooks"
_WEBHOOKS_RUN_SECONDS = 25
# How long a run waits for an answer before it looks whether there is something new.
_GLANCE_SECONDS = 0.25


@shared_task(name="notifications.tasks.send_webhooks")
def send_webhooks(**_: object) -> None:
    """Send all webhooks that are due, several endpoints at a time."""
    if cache.add(_WEBHOOKS_RUNNING, value=True, timeout=_RUN_SECONDS):
        _WebhookRun().go()


@shared_task(name="notifications.tasks.forget_old_webhooks")
def forget_old_webhooks(**_: object) -> None:
    """Empty and drop what is kept of webhooks for long enough."""
    while webhooks.forget_old(now=utc_now()):
        pass


class _WebhookRun:
    """One run: threads wait for merchants' systems, and this one thread talks to the database."""

    def __init__(self) -> None:
        self._slots: int = settings.WEBHOOK_CALLS_AT_ONCE
        self._calls: dict[Future[webhooks.Outcome], webhooks.Claimed] = {}

    def go(self) -> None:
        """Send until nothing is due, and not for so long that the task would be taken for lost."""
        ends_at = monotonic() + _WEBHOOKS_RUN_SECONDS
        with ThreadPoolExecutor(max_workers=self._slots, thread_name_prefix="webhook") as pool:
            try:
                while monotonic() < ends_at and (self._begin(pool) or self._calls):
                    self._take_answers(_GLANCE_SECONDS)
            finally:
                # Who still waits for a slow system here holds up nobody: the next run claims what is new.
                cache.delete(_WEBHOOKS_RUNNING)
            while self._calls:
                self._take_answers(None)

    def _begin(self, pool: ThreadPoolExecutor) -> int:
        """Fill the free slots; endpoints that failed last get half of all at most, however many there are."""
        begun = self._claim(pool, failing=False, limit=self._slots - len(self._calls))
        failing = sum(call.failures > 0 for call in self._calls.values())
        free = min(self._slots - len(self._calls), max(self._slots // 2, 1) - failing)
        return begun + self._claim(pool, failing=True, limit=free)

    def _claim(self, pool: ThreadPoolExecutor, *, failing: bool, limit: int) -> int:
        if limit <= 0:
            return 0
        claimed = webhooks.claim(failing=failing, limit=limit, now=utc_now())
        for call in claimed:
            self._calls[pool.submit(webhooks.send, claimed=call, now=utc_now())] = call
        return len(claimed)

    def _take_answers(self, seconds: float | None) -> None:
        done, _ = wait(self._calls, timeout=seconds, return_when=FIRST_COMPLETED)
        for future in done:
            call = self._calls.pop(future)
            try:
                webhooks.record(claimed=call, outcome=future.result(), now=utc_now())
            except Exception:
                # Its lease ends, and it is sent again: receivers know it by its webhook-id.
                log.exception("task.row_failed", id=str(call.delivery_id))
