"""What ties one user action together across requests, events and tasks: the correlation id and its causes."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from shop.kernel.ids import new_id


@dataclass(frozen=True, slots=True)
class Trace:
    """`correlation_id` is the request id that began it all; `causation_id` the event being handled, if any."""

    correlation_id: str
    causation_id: str = ""
    traceparent: str = ""


_current: ContextVar[Trace | None] = ContextVar("trace", default=None)


def current_trace() -> Trace:
    """Return the trace of what is being done; work nobody asked for (a clock tick) begins its own."""
    trace = _current.get()
    if trace is None:
        trace = Trace(correlation_id=str(new_id()))
        _current.set(trace)
    return trace


def trace_under_way() -> Trace | None:
    """Return the trace of what is being done, or None where nothing is: a log line begins no trace."""
    return _current.get()


@contextmanager
def tracing(trace: Trace) -> Iterator[Trace]:
    """Do the enclosed work as part of `trace`."""
    token = _current.set(trace)
    try:
        yield trace
    finally:
        _current.reset(token)
