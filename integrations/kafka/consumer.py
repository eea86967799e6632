"""One member of one consumer group: receives batches, has them handled, commits its offsets afterwards."""

import time
import uuid
from collections.abc import Sequence
from datetime import datetime
from threading import Event as Signal

import structlog
from django.db import OperationalError, connection

from integrations.kafka import inbox, metrics
from integrations.kafka.client import Received, Subscriber
from integrations.kafka.delivery import deliver
from integrations.kafka.envelope import Arrived, arrived
from integrations.kafka.errors import BrokersLost, DatabaseAway, Unreadable
from integrations.kafka.groups import Group
from integrations.kafka.inbox import Aside
from integrations.kafka.models import Parked
from shop.kernel.clock import utc_now
from shop.kernel.transactions import open_unit_of_work

log = structlog.get_logger(__name__)

BATCH = 100
WAIT_SECONDS = 0.25
LONGEST_BACKOFF_SECONDS = 5.0
MEASURE_SECONDS = 5.0


class GroupConsumer:
    """Runs in a thread of its own until `stop` is set."""

    def __init__(self, *, group: Group, stop: Signal) -> None:
        self._group = group
        self._stop = stop
        self._next_measure = 0.0
        self.is_assigned = Signal()

    def run(self) -> None:
        """Consume until asked to stop; whatever is not waited for here ends the process, which is started again."""
        log.info("consumer.started", group=self._group.name, topics=self._group.topics)
        try:
            while not self._stop.is_set():
                self._consume()
        finally:
            connection.close()
            log.info("consumer.stopped", group=self._group.name)

    def _consume(self) -> None:
        """Be a member of the group until asked to stop, or until the member has lost sight of the brokers."""
        subscriber = Subscriber(group=self._group.name, topics=self._group.topics, assigned=self.is_assigned.set)
        try:
            while not self._stop.is_set():
                if received := subscriber.receive(limit=BATCH, seconds=WAIT_SECONDS):
                    self._handle(received, subscriber)
                self._measure(subscriber)
        except BrokersLost as error:
            log.warning("consumer.begins_anew", group=self._group.name, reason=str(error))
        finally:
            subscriber.close()

    def _handle(self, received: Sequence[Received], subscriber: Subscriber) -> None:
        """Handle a batch however long the database is away, and commit its offsets once that is committed."""
        failures = 0
        while not self._stop.is_set():
            try:
                self._handle_once(received, now=utc_now())
            except (DatabaseAway, OperationalError) as error:
                failures += 1
                if failures == 1:
                    log.warning("consumer.database_away", group=self._group.name, reason=str(error))
                # What it has in hand is behind it no less than what the broker has.
                self._measure(subscriber, in_hand=len(received))
                subscriber.keep_membership(min(0.1 * 2 ** min(failures, 6), LONGEST_BACKOFF_SECONDS))
            else:
                subscriber.done(received)
                return

    def _handle_once(self, received: Sequence[Received], *, now: datetime) -> None:
        events, unreadable = [], []
        for record in received:
            try:
                events.append(arrived(record))
            except Unreadable as error:
                unreadable.append(self._raw(record, error, now))
        if unreadable:
            with open_unit_of_work():
                inbox.park(consumer=self._group.name, asides=unreadable, now=now)
            metrics.consumed.labels(self._group.name, "", "dead").inc(len(unreadable))
        deliver(group=self._group, events=events, now=now)

    def _raw(self, record: Received, error: Unreadable, now: datetime) -> Aside:
        """Keep a message nobody can read, under an id that is the same when it comes again."""
        place = f"{record.topic}/{record.partition}/{record.offset}/{record.value!r}"
        log.error("consumer.unreadable", group=self._group.name, place=place[:100], reason=str(error))
        event = Arrived(
            id=uuid.uuid5(uuid.NAMESPACE_URL, place),
            type="",
            key=record.key.decode(errors="replace").replace("\0", ""),
            data=record.value,
            topic=record.topic,
            headers={name: repr(value)[2:-1] for name, value in record.headers.items()},
        )
        return Aside(event=event, state=Parked.State.DEAD, attempts=1, next_attempt_at=now, error=str(error))

    def _measure(self, subscriber: Subscriber, *, in_hand: int = 0) -> None:
        if time.monotonic() >= self._next_measure:
            self._next_measure = time.monotonic() + MEASURE_SECONDS
            metrics.consumer_lag.labels(self._group.name).set(subscriber.lag() + in_hand)
