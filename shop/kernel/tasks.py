"""Waking Celery after a commit. A wake-up is a hint: the row says what is due, the clock finds it without any hint."""

import structlog
from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

from shop.kernel.tracing import current_trace

log = structlog.get_logger(__name__)


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
