"""The one place where the time is read. Edges call it and pass `now` inward."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

# Who says what time it is instead of the machine: simulations, and nobody else.
_told_by: ContextVar[Callable[[], datetime] | None] = ContextVar("clock", default=None)


def utc_now() -> datetime:
    """Return the present instant, aware, in UTC."""
    told = _told_by.get()
    return datetime.now(UTC) if told is None else told()


@contextmanager
def clock_told_by(tell: Callable[[], datetime]) -> Iterator[None]:
    """Let `tell` say what time it is in this context; a thread begins with a context of its own."""
    token = _told_by.set(tell)
    try:
        yield
    finally:
        _told_by.reset(token)


def rfc3339(instant: datetime) -> str:
    """Write an aware instant as RFC 3339 in UTC with milliseconds: `2026-11-22T16:40:14.123Z`."""
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
