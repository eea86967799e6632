"""A wake-up soon after webhooks were written, and a clock for all that were not sent then."""

from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from time import monotonic

import structlog
from celery import shared_task
from django.conf import settings
from django.core.cache import cache
from redis.exceptions import RedisError

from notifications.services import webhooks
from shop.kernel.clock import utc_now
from shop.kernel.clockwatch.services import may_forget
from shop.kernel.clockwatch.uptime import uptime

log = structlog.get_logger(__name__)

# One run at a time claims; it saves work and guards nothing: endpoints are claimed in the database.
_RUNNING = "notifications.send_webhooks"
_RUN_SECONDS = 25
# After so long without a word the run that claims is taken for dead.
_CLAIM_SECONDS = 60
# How long a run waits for an answer before it looks whether there is something new.
_GLANCE_SECONDS = 0.25


@shared_task(name="notifications.tasks.send_webhooks")
def send_webhooks(**_: object) -> None:
    """Send all webhooks that are due, several endpoints at a time."""
    if cache.add(_RUNNING, value=True, timeout=_CLAIM_SECONDS):
        _Run().go()


@shared_task(name="notifications.tasks.forget_old_webhooks")
def forget_old_webhooks(**_: object) -> None:
    """Empty and drop what is kept of webhooks for long enough, by a clock that can be believed."""
    now = utc_now()
    if may_forget(now=now, uptime=uptime()):
        while webhooks.forget_old(now=now):
            pass


class _Run:
    """One run: threads wait for merchants' systems, and this one thread talks to the database."""

    def __init__(self) -> None:
        self._slots: int = settings.WEBHOOK_CALLS_AT_ONCE
        self._calls: dict[Future[webhooks.Outcome], webhooks.Claimed] = {}

    def go(self) -> None:
        """Send until nothing is due, and not for so long that the task would be taken for lost."""
        ends_at = monotonic() + _RUN_SECONDS
        with ThreadPoolExecutor(max_workers=self._slots, thread_name_prefix="webhook") as pool:
            try:
                while monotonic() < ends_at and (self._begin(pool) or self._calls):
                    self._take_answers(_GLANCE_SECONDS)
            finally:
                # Who still waits for a slow system here holds up nobody: the next run claims what is new. Without Redis
                # it does when the claim has run out; what is answered here is kept all the same.
                with suppress(RedisError):
                    cache.delete(_RUNNING)
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
