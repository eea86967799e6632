"""Views (a page looked at, a search made): told through a bounded buffer that never slows a request.

Views are not facts: they may be lost when a process dies or the buffer is full, and are counted apart.
"""

from collections import deque
from os import getpid
from threading import Event as Signal
from threading import Lock

from django.conf import settings
from django.utils.module_loading import import_string
from prometheus_client import Counter

from shop.kernel.events import UserAction
from shop.kernel.tracing import Trace, current_trace

recorded = Counter("shop_views_recorded_total", "Views put into the buffer.", ["name"])
dropped = Counter("shop_views_dropped_total", "Views lost: the buffer was full, or Kafka did not take them.", ["name"])

# A view and the request it was part of.
Seen = tuple[UserAction, Trace]


class ViewBuffer:
    """A queue of limited size between requests, which only ever append, and one sender."""

    def __init__(self, *, size: int) -> None:
        self._size = size
        self._waiting: deque[Seen] = deque()
        self.filled = Signal()

    def record(self, view: UserAction) -> bool:
        """Append the view, or drop and count it when the buffer is full; say whether it was kept.

        No lock is taken for it: threads that append at the same instant may exceed the size by one each.
        """
        if len(self._waiting) >= self._size:
            dropped.labels(view.name).inc()
            return False
        self._waiting.append((view, current_trace()))
        recorded.labels(view.name).inc()
        self.filled.set()
        return True

    def take(self, limit: int) -> list[Seen]:
        """Remove and return up to `limit` views, oldest first."""
        return [self._waiting.popleft() for _ in range(min(limit, len(self._waiting)))]


buffer = ViewBuffer(size=settings.ANALYTICS_BUFFER_SIZE)
_starting = Lock()
_sender_pid = 0


def record_view(view: UserAction) -> None:
    """Tell a view, at once and without waiting for anybody."""
    if buffer.record(view) and _sender_pid != getpid():
        _start_sender()


def _start_sender() -> None:
    """Start what `settings.VIEW_SENDER` names, once in each process: a thread does not survive a fork."""
    global _sender_pid  # noqa: PLW0603  one sender a process
    with _starting:
        if _sender_pid != getpid():
            _sender_pid = getpid()
            if settings.VIEW_SENDER:
                import_string(settings.VIEW_SENDER)(buffer)
