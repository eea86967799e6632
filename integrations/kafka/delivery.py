"""Events into handlers, exactly once each: the inbox row and the effect commit together or not at all."""

import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from time import monotonic
from uuid import UUID

import msgspec
import structlog
from django.db import connection

from integrations.kafka import inbox, metrics
from integrations.kafka.envelope import Arrived
from integrations.kafka.errors import DatabaseAway, NoHandler
from integrations.kafka.groups import Group, Handler
from integrations.kafka.inbox import Aside
from integrations.kafka.models import Parked
from shop.kernel.events import Event, read_event
from shop.kernel.tracing import Trace, tracing
from shop.kernel.transactions import open_unit_of_work

log = structlog.get_logger(__name__)

FIRST_RETRY = timedelta(seconds=1)

# Outcome by type: (type, "handled") -> how many.
Outcome = Counter[tuple[str, str]]


def deliver(*, group: Group, events: Sequence[Arrived], now: datetime) -> Outcome:
    """Hand a batch to the group's handlers and return what became of each event.

    First all in one unit of work. If anything fails, the batch is rolled back and repeated with a savepoint for
    each event: what fails then is parked, and with it the later events of its key. DatabaseAway when the
    connection is lost; nothing has happened then.
    """
    began = monotonic()
    ours = [event for event in events if event.is_for(group.name)]
    heard = [event for event in ours if event.type in group.handlers]
    outcome = _deliver(group, heard, now) if heard else Counter()
    outcome.update((event.type, "skipped") for event in ours if event.type not in group.handlers)
    outcome.update((event.type, "not_for_us") for event in events if not event.is_for(group.name))
    for (type_name, became), count in outcome.items():
        metrics.consumed.labels(group.name, type_name, became).inc(count)
    metrics.handle_seconds.labels(group.name).observe(monotonic() - began)
    return outcome


def _deliver(group: Group, events: Sequence[Arrived], now: datetime) -> Outcome:
    try:
        return _Batch(group, events, now).together()
    except Exception as error:  # noqa: BLE001  whatever a handler raises is dealt with event by event
        raise_if_database_is_away(error)
        log.info("consumer.batch_repeated", group=group.name, events=len(events), error=_in_short(error))
    try:
        return _Batch(group, events, now).one_by_one()
    except Exception as error:  # noqa: BLE001  a commit can fail for whatever reason, too
        raise_if_database_is_away(error)
        if len(events) == 1:
            return _park_alone(group, events[0], error, now)
    # The commit itself failed: only a unit of work for each event tells whose fault it is.
    return sum((_deliver(group, [event], now) for event in events), Outcome())


def _park_alone(group: Group, event: Arrived, error: Exception, now: datetime) -> Outcome:
    with open_unit_of_work():
        inbox.park(consumer=group.name, asides=[failed(event, error, now=now)], now=now)
    return Counter({(event.type, "parked"): 1})


class _Batch:
    """One attempt at a batch."""

    def __init__(self, group: Group, events: Sequence[Arrived], now: datetime) -> None:
        # Kafka may bring the same event twice within a batch.
        self._events = list({event.id: event for event in events}.values())
        self._group, self._now = group, now
        self._asides: list[Aside] = []
        self._read: dict[UUID, Event] = {}
        self._entered: frozenset[UUID] = frozenset()
        self._outcome: Outcome = Counter()
        repeated = Counter(event.id for event in events)
        for event in self._events:
            self._count(event, "duplicate", repeated[event.id] - 1)

    def together(self) -> Outcome:
        """Handle the batch, all or nothing."""
        with open_unit_of_work():
            for event in self._enter():
                self._handle(event)
                self._count(event, "handled")
            self._park()
        return self._outcome

    def one_by_one(self) -> Outcome:
        """Handle the batch; park what fails and, behind it, what has the same key."""
        failed_keys: set[str] = set()
        with open_unit_of_work() as unit:
            for event in self._enter():
                if event.key in failed_keys:
                    self._aside(behind(event, now=self._now))
                    continue
                try:
                    with unit.savepoint():
                        self._handle(event)
                except Exception as error:  # noqa: BLE001  see deliver
                    raise_if_database_is_away(error)
                    failed_keys.add(event.key)
                    self._aside(failed(event, error, now=self._now))
                else:
                    self._count(event, "handled")
            self._park()
        return self._outcome

    def _enter(self) -> Iterator[Arrived]:
        """Yield what is new and may be handled now."""
        readable = self._readable()
        entered = inbox.enter(consumer=self._group.name, events=readable, now=self._now)
        self._entered = entered.fresh
        for event in readable:
            if event.id in entered.waiting:
                self._aside(behind(event, now=self._now))
            elif event.id in entered.fresh:
                yield event
            else:
                self._count(event, "duplicate")

    def _readable(self) -> list[Arrived]:
        """Set aside what does not fit its type, before anything is done: it costs the others of its batch nothing."""
        for event in self._events:
            try:
                self._read[event.id] = decoded(event)
            except msgspec.DecodeError as error:
                self._aside(failed(event, error, now=self._now))
        return [event for event in self._events if event.id in self._read]

    def _handle(self, event: Arrived) -> None:
        call(self._group.handlers[event.type], arrived=event, event=self._read[event.id])

    def _aside(self, aside: Aside) -> None:
        self._asides.append(aside)
        self._count(aside.event, "dead" if aside.state == Parked.State.DEAD else "parked")

    def _park(self) -> None:
        if self._asides:
            inbox.park(consumer=self._group.name, asides=self._asides, now=self._now, entered=self._entered)

    def _count(self, event: Arrived, became: str, count: int = 1) -> None:
        if count:
            self._outcome[event.type, became] += count


def handle(*, group: Group, event: Arrived) -> None:
    """Call the group's handler inside the unit of work under way, as part of the action that caused the event."""
    handler = group.handlers.get(event.type)
    if handler is None:
        raise NoHandler(f"{group.name} does not listen to {event.type}.")
    call(handler, arrived=event, event=decoded(event))


def call(handler: Handler, *, arrived: Arrived, event: Event) -> None:
    """Call a handler as part of the action that caused the event."""
    with _traced(arrived):
        handler(event=event, event_id=arrived.id)


def decoded(event: Arrived) -> Event:
    """Read an event's data; `msgspec.DecodeError` when it does not fit its type, LookupError for unknown types."""
    return read_event(event.type, event.data)


@contextmanager
def _traced(event: Arrived) -> Iterator[None]:
    trace = Trace(
        correlation_id=event.correlation_id or str(event.id),
        causation_id=str(event.id),
        traceparent=event.traceparent,
    )
    with tracing(trace):
        yield


def failed(event: Arrived, error: Exception, *, now: datetime) -> Aside:
    """Describe an event whose handler failed; one that cannot be read is beyond help until the code changes."""
    hopeless = isinstance(error, msgspec.DecodeError)
    log.error(
        "consumer.event_failed",
        event_id=str(event.id), type=event.type, key=event.key, error=_in_short(error), hopeless=hopeless,
    )  # fmt: skip
    return Aside(
        event=event,
        state=Parked.State.DEAD if hopeless else Parked.State.WAITING,
        attempts=1,
        next_attempt_at=now + FIRST_RETRY,
        error=explained(error),
    )


def behind(event: Arrived, *, now: datetime) -> Aside:
    """Describe an event that waits behind an earlier one of its key."""
    return Aside(event=event, state=Parked.State.WAITING, attempts=0, next_attempt_at=now, error="")


def explained(error: Exception) -> str:
    """Return the error with the last lines of its traceback, for whoever has to mend it."""
    return "".join(traceback.format_exception(error))[-4_000:].replace("\0", "")


def _in_short(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:300]


def raise_if_database_is_away(error: Exception) -> None:
    """Turn an error into DatabaseAway when the connection, not the handler, is its cause."""
    if isinstance(error, DatabaseAway):
        raise error
    if connection.connection is None or connection.connection.closed:
        connection.close()
        raise DatabaseAway(_in_short(error)) from error
