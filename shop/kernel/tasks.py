"""Waking Celery after a commit. A wake-up is a hint: the row says what is due, the clock finds it without any hint."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import structlog
from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

from shop.kernel.tracing import current_trace

log = structlog.get_logger(__name__)

# How long work that is done in batches waits for company.
COMPANY_SECONDS = 0.2
# How long a broker that did not answer is left alone: a request must not pay for each try with the broker's time-out.
AWAY_SECONDS = 5.0

# When the batch tasks that this process has sent will begin, by `time.monotonic()`.
_begin_at: dict[str, float] = {}
# Until when the broker is left alone, by the same clock.
_away_until = 0.0
# Who hears the wake-ups instead of the broker: simulations, which decide themselves what is lost on the way.
_heard_by: ContextVar[Callable[[str, Mapping[str, Any]], None] | None] = ContextVar("wake_ups", default=None)


@contextmanager
def wake_ups_heard_by(hear: Callable[[str, Mapping[str, Any]], None]) -> Iterator[None]:
    """Give the wake-ups of this context, task and keywords, to `hear`; a thread begins with a context of its own."""
    token = _heard_by.set(hear)
    try:
        yield
    finally:
        _heard_by.reset(token)


def wake(task: str, **primitives: str | int | bool | None) -> None:
    """Send the task once the transaction under way has committed; a broker that is away costs a log line."""
    trace = current_trace()
    headers = {"shop_correlation_id": trace.correlation_id, "shop_causation_id": trace.causation_id}
    transaction.on_commit(lambda: _send(task, kwargs=primitives, headers=headers))


def wake_for_all(task: str) -> None:
    """Send a task that does everything that is due; it begins a moment after the commit, once for all of that moment.

    A task for each row would cost more than most rows do.
    """

    def send() -> None:
        now = time.monotonic()
        if (_heard_by.get() or now >= _begin_at.get(task, 0)) and _send(task, countdown=COMPANY_SECONDS):
            _begin_at[task] = now + COMPANY_SECONDS

    transaction.on_commit(send)


def _send(task: str, **options: Any) -> bool:
    """Send the task and say whether the broker took it."""
    global _away_until  # noqa: PLW0603  one broker a process
    if hear := _heard_by.get():
        hear(task, options.get("kwargs", {}))
        return True
    if time.monotonic() < _away_until:
        return False
    try:
        current_app.send_task(task, retry=False, **options)
    except OperationalError as error:
        _away_until = time.monotonic() + AWAY_SECONDS
        log.warning("task.not_woken", task=task, error=type(error).__name__, silent_seconds=AWAY_SECONDS)
        return False
    return True
