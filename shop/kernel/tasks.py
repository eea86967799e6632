"""Waking Celery after a commit. A wake-up is a hint: the row says what is due, the clock finds it without any hint."""

import time

import structlog
from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

from shop.kernel.tracing import current_trace

log = structlog.get_logger(__name__)

# How long work that is done in batches waits for company.
COMPANY_SECONDS = 0.2

# When the batch tasks that this process has sent will begin, by `time.monotonic()`.
_begin_at: dict[str, float] = {}


def wake(task: str, **primitives: str | int | bool | None) -> None:
    """Send the task once the transaction under way has committed; a broker that is away costs a log line."""
    trace = current_trace()
    headers = {"shop_correlation_id": trace.correlation_id, "shop_causation_id": trace.causation_id}

    def send() -> None:
        try:
            current_app.send_task(task, kwargs=primitives, headers=headers, retry=False)
        except OperationalError as error:
            log.warning("task.not_woken", task=task, error=type(error).__name__)

    transaction.on_commit(send)


def wake_for_all(task: str) -> None:
    """Send a task that does everything that is due; it begins a moment after the commit, once for all of that moment.

    A task for each row would cost more than most rows do.
    """

    def send() -> None:
        now = time.monotonic()
        if now < _begin_at.get(task, 0):
            return
        _begin_at[task] = now + COMPANY_SECONDS
        try:
            current_app.send_task(task, countdown=COMPANY_SECONDS, retry=False)
        except OperationalError as error:
            _begin_at.pop(task, None)
            log.warning("task.not_woken", task=task, error=type(error).__name__)

    transaction.on_commit(send)
