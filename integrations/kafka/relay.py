"""The relay: reads the queue in order, sends to Kafka, and takes out what Kafka has acknowledged."""

import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from threading import Event as Signal
from typing import Any

import structlog
from django.db import InterfaceError, InternalError, OperationalError, connection

from integrations.kafka import metrics
from integrations.kafka.client import Publisher, failure_of
from integrations.kafka.envelope import headers_of
from integrations.kafka.errors import BatchRefused, BrokerError, BrokersLost, Refused
from integrations.kafka.leases import Leases
from shop.kernel.outbox import queue
from shop.kernel.outbox.dto import Queued
from shop.kernel.outbox.floor import Floor
from shop.kernel.outbox.wakeup import Notices

log = structlog.get_logger(__name__)

BATCH = 1_000
# Batches of that size under way at once; smaller ones may be as many as fit.
IN_FLIGHT = 3
# After a batch: what is told meanwhile travels together, and saves a read for each event.
COMPANY_SECONDS = 0.002
SHORTEST_WAIT_SECONDS = 0.050
LONGEST_WAIT_SECONDS = 0.250
GOODBYE_SECONDS = 5.0
# The second is what a relay hears that was stopped for a minute in the middle of a transaction.
_DATABASE_AWAY = (OperationalError, InternalError, InterfaceError)


class Flight:
    """One batch between the queue and Kafka's acknowledgements."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.sent: list[Queued] = []
        # What Kafka has acknowledged and the queue still holds, and what Kafka did not take.
        self.acknowledged: list[Queued] = []
        self.failed: list[tuple[Queued, Any]] = []
        self._answers = 0

    def landed(self, row: Queued, error: Any, _message: Any) -> None:
        """Note what Kafka said about one row."""
        self._answers += 1
        if error is None:
            self.acknowledged.append(row)
        else:
            self.failed.append((row, error))

    @property
    def is_over(self) -> bool:
        """Whether every row has its answer."""
        return self._answers == len(self.sent)


class Relay:
    """Carries the events of its shards, until `stop` is set.

    Several may run; each key's events stay in order whatever happens to them.
    """

    def __init__(self, *, stop: Signal, batch: int = BATCH) -> None:
        self._stop = stop
        self._batch = batch
        self._leases = Leases()
        self._floor = Floor()
        self._removed = 0
        self._is_prepared = False
        self._notices = Notices()
        self._flights: list[Flight] = []
        # How many of the next events go alone, since Kafka has refused one of them.
        self._alone = 0
        self._publisher = Publisher()
        self._wait_seconds = SHORTEST_WAIT_SECONDS
        self._failures = 0
        self.is_up = Signal()

    def run(self) -> None:
        """Carry events until asked to stop; a broker or database that is away is waited for."""
        log.info("relay.started", relay=str(self._leases.token))
        while not self._stop.is_set():
            try:
                self._turn()
            except BrokerError as error:
                self._begin_anew()
                self._pause(kind="broker", error=error)
            except BatchRefused as error:
                log.warning("relay.batch_refused", reason=str(error))
                self._alone = len(self._in_flight())
                self._begin_anew()
            except _DATABASE_AWAY as error:
                self._reconnect(error)
        self._finish()

    def _turn(self) -> None:
        self._prepare()
        if not self._has_room or not self._leases.readable:
            self._publisher.poll(SHORTEST_WAIT_SECONDS)
            self._settle()
            return
        rows = self._read()
        if rows:
            self._send(rows)
        more_waits = len(rows) == self._batch
        if self._flights and not more_waits:
            # Send at once rather than linger for company.
            self._publisher.flush(COMPANY_SECONDS)
        else:
            # Read on while this batch is under way; in idle times hear what the client has noticed.
            self._publisher.poll(0)
        self._settle()
        if not more_waits:
            self._wait(has_read=bool(rows))

    def _prepare(self) -> None:
        """Before a read: show a sign of life when it is time for one, and find where the queue begins by now."""
        if not self._is_prepared:
            queue.prepare_to_carry()
            self._floor = Floor()
            self._is_prepared = True
        if self._leases.are_due:
            self._leases.keep(busy={row.shard for flight in self._flights for row in flight.sent})
            metrics.leases_held.set(len(self._leases.held))
            self.is_up.set()
        if self._removed >= self._batch:
            self._floor.lift()
            self._removed = 0

    def _read(self) -> Sequence[Queued]:
        return queue.read(
            shards=self._leases.readable,
            in_flight=self._in_flight(),
            limit=1 if self._alone else self._batch,
            floor=self._floor.position,
        )

    @property
    def _has_room(self) -> bool:
        if self._alone:
            return not self._flights
        return sum(len(flight.sent) for flight in self._flights) <= (IN_FLIGHT - 1) * self._batch

    def _in_flight(self) -> list[int]:
        return [row.position for flight in self._flights for row in flight.sent]

    def _send(self, rows: Sequence[Queued]) -> None:
        flight = Flight()
        self._flights.append(flight)
        self._alone = max(0, self._alone - len(rows))
        held_back = set()
        for row in rows:
            if row.key in held_back:
                continue
            try:
                self._send_one(row, flight)
            except Refused as refusal:
                self._refuse(row, reason=str(refusal))
                held_back.add(row.key)

    def _send_one(self, row: Queued, flight: Flight) -> None:
        told = row.told
        if told is None:
            raise Refused("The log holds no such event.")
        self._publisher.send(
            topic=told.topic,
            key=str(told.key),
            value=told.data,
            headers=headers_of(told),
            report=partial(flight.landed, row),
        )
        flight.sent.append(row)

    def _settle(self) -> None:
        """Take out what Kafka has acknowledged; BrokerError when something did not go through.

        In that case nothing more is taken out: all that is left is sent again, in its order.
        """
        for flight in self._flights:
            for row, error in flight.failed:
                self._judge(row, error)
            flight.failed.clear()
        if acknowledged := [row for flight in self._flights for row in flight.acknowledged]:
            self._take_out(acknowledged)
        for flight in self._flights:
            flight.acknowledged.clear()
        for flight in [flight for flight in self._flights if flight.is_over]:
            self._flights.remove(flight)
            self._failures = 0
            metrics.batch_seconds.observe(time.monotonic() - flight.began)

    def _judge(self, row: Queued, error: Any) -> None:
        """Refuse what Kafka will never take. A batch is refused whole, whichever of its events is to blame.

        Which events made a batch the client alone knows: only what was in flight without any other is to blame.
        """
        failure = failure_of(error)
        if not failure.permanent:
            raise BrokerError(failure.reason)
        if len(self._in_flight()) > 1:
            raise BatchRefused(failure.reason)
        self._refuse(row, reason=failure.reason)

    def _take_out(self, rows: Sequence[Queued]) -> None:
        self._removed += queue.remove(positions=[row.position for row in rows])
        for topic, count in Counter(row.told.topic for row in rows if row.told).items():
            metrics.published.labels(topic).inc(count)
        last = rows[-1].told
        # What a replay sends once more is old, and nobody has waited for it.
        if last and "replayid" not in last.headers:
            metrics.delivery_seconds.observe((datetime.now(UTC) - last.occurred_at).total_seconds())

    def _refuse(self, row: Queued, *, reason: str) -> None:
        queue.refuse(position=row.position, reason=reason)
        metrics.relay_errors.labels("refused").inc()
        log.error("relay.event_refused", event_id=str(row.event_id), key=str(row.key), reason=reason)

    def _wait(self, *, has_read: bool) -> None:
        if has_read:
            # For company, or for the acknowledgements. The next read answers all notices until now.
            (self._publisher.poll if self._flights else self._stop.wait)(COMPANY_SECONDS)
            self._notices.wait(0)
        elif self._flights:
            self._publisher.poll(SHORTEST_WAIT_SECONDS)
        if has_read or self._flights or self._notices.wait(self._wait_seconds):
            self._wait_seconds = SHORTEST_WAIT_SECONDS
        else:
            self._wait_seconds = min(self._wait_seconds * 2, LONGEST_WAIT_SECONDS)

    def _begin_anew(self) -> None:
        """Forget everything in flight: the queue still holds it, and is read again from the front."""
        self._publisher.abandon()
        self._flights.clear()
        self._publisher = Publisher()

    def _reconnect(self, error: Exception) -> None:
        """Open another connection for the next turn. What is in flight goes on, and is taken out then."""
        connection.close()
        self._is_prepared = False
        self._pause(kind="database", error=error)

    def _pause(self, *, kind: str, error: Exception) -> None:
        self._failures += 1
        metrics.relay_errors.labels(kind).inc()
        if self._failures == 1:
            log.warning("relay.interrupted", kind=kind, reason=str(error))
        self._stop.wait(min(0.1 * 2 ** min(self._failures, 6), 5.0))
        with suppress(BrokersLost):
            # What the client notices meanwhile must not pile up; the next turn minds what it is.
            self._publisher.poll(0)

    def _finish(self) -> None:
        """Wait for what is in flight, take it out, hand the shards over."""
        try:
            self._publisher.flush(GOODBYE_SECONDS)
            self._settle()
            self._leases.give_up()
        except (BrokerError, BatchRefused, *_DATABASE_AWAY) as error:
            log.warning("relay.left_in_a_hurry", reason=str(error))
        self._notices.close()
        connection.close()
        log.info("relay.stopped")
