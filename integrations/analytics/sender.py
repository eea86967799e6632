"""Sends the views that requests leave in the buffer to `analytics.events`: one thread a process, no request waits."""

import atexit
from threading import Event as Signal
from threading import Thread
from typing import Any

import structlog
from django.conf import settings

from integrations.kafka.client import Publisher
from integrations.kafka.envelope import headers_of
from integrations.kafka.errors import BrokerError, BrokersLost, Refused
from shop.kernel import views
from shop.kernel.events import UserAction
from shop.kernel.ids import new_id
from shop.kernel.outbox.dto import Told
from shop.kernel.tracing import Trace

log = structlog.get_logger(__name__)

_BATCH = 500
# Views wait for company: a message to Kafka for each would cost the process more than the views are worth.
GATHER_SECONDS = 0.1
# A broker that is away for long costs views, not memory: what it does not take within this time is dropped and counted.
PATIENCE_SECONDS = 5.0
GOODBYE_SECONDS = 1.0


class ViewSender(Thread):
    """Takes views out of the buffer as they come and hands them to Kafka without keeping them anywhere."""

    def __init__(self, buffer: views.ViewBuffer) -> None:
        super().__init__(name="view-sender", daemon=True)
        self._buffer = buffer
        self._stopping = Signal()

    def stop(self) -> None:
        """Send what is in the buffer and end, waiting a second for it at most."""
        self._stopping.set()
        self._buffer.filled.set()
        self.join(GOODBYE_SECONDS)

    def run(self) -> None:
        """Send until asked to stop. A publisher that fails is replaced, as the relay does with its own."""
        while True:
            try:
                self._carry()
            except BrokersLost as error:
                log.warning("views.begin_anew", reason=str(error))
            except Exception:
                # Whatever it was, requests go on recording: without a sender every view after this one is lost.
                log.exception("views.sender_failed")
                self._stopping.wait(PATIENCE_SECONDS)
            if self._stopping.is_set():
                return

    def _carry(self) -> None:
        publisher = Publisher()
        try:
            self._serve(publisher)
        finally:
            # What is still under way is reported, and so counted, as dropped; what waits is for the next publisher.
            publisher.abandon()
            self._buffer.filled.set()

    def _serve(self, publisher: Publisher) -> None:
        """Send for as long as the broker takes what it is given; asked to stop, what waits goes first."""
        while True:
            while not self._buffer.filled.wait(PATIENCE_SECONDS):
                # What the client notices in quiet hours must not pile up.
                publisher.poll(0)
            self._stopping.wait(GATHER_SECONDS)
            is_last = self._stopping.is_set()
            self._buffer.filled.clear()
            while taken := self._buffer.take(_BATCH):
                accepted = [_send(publisher, view, trace) for view, trace in taken]
                if not publisher.flush(PATIENCE_SECONDS) or not all(accepted):
                    return
            if is_last:
                return


def _send(publisher: Publisher, view: UserAction, trace: Trace) -> bool:
    """Hand a view over; say whether the publisher is still of use."""
    told = Told(
        id=new_id(),
        topic=view.topic,
        type=view.type_name(),
        key=view.key,
        sequence=0,
        occurred_at=view.occurred_at,
        headers={"correlationid": trace.correlation_id, "traceparent": trace.traceparent},
        data=view.encode(),
    )

    def report(error: Any, _message: Any) -> None:
        if error is not None:
            views.dropped.labels(view.name).inc()

    try:
        publisher.send(topic=told.topic, key=str(told.key), value=told.data, headers=headers_of(told), report=report)
    except (BrokerError, Refused) as error:
        views.dropped.labels(view.name).inc()
        return isinstance(error, Refused)
    return True


def start(buffer: views.ViewBuffer) -> None:
    """Start the sender of this process, where there is a broker to send to."""
    if settings.KAFKA_BOOTSTRAP_SERVERS:
        sender = ViewSender(buffer)
        sender.start()
        atexit.register(sender.stop)
