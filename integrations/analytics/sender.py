"""Sends the views that requests leave in the buffer to `analytics.events`: one thread a process, no request waits."""

from threading import Thread
from typing import Any

from django.conf import settings

from integrations.kafka.client import Publisher
from integrations.kafka.envelope import headers_of
from integrations.kafka.errors import BrokerError, Refused
from shop.kernel import views
from shop.kernel.events import UserAction
from shop.kernel.ids import new_id
from shop.kernel.outbox.dto import Told

_BATCH = 500
# A broker that is away for long costs views, not memory: what waits here longer than this is dropped and counted.
_PATIENCE_SECONDS = 5.0


class ViewSender(Thread):
    """Takes views out of the buffer as they come and hands them to Kafka without keeping them anywhere."""

    def __init__(self, buffer: views.ViewBuffer) -> None:
        super().__init__(name="view-sender", daemon=True)
        self._buffer = buffer

    def run(self) -> None:
        """Send for as long as the process lives."""
        publisher = Publisher(linger_ms=100)
        while True:
            self._buffer.filled.wait()
            self._buffer.filled.clear()
            while taken := self._buffer.take(_BATCH):
                for view in taken:
                    self._send(publisher, view)
                publisher.flush(_PATIENCE_SECONDS)

    def _send(self, publisher: Publisher, view: UserAction) -> None:
        told = Told(
            id=new_id(),
            topic=view.topic,
            type=view.type_name(),
            key=view.key,
            sequence=0,
            occurred_at=view.occurred_at,
            headers={},
            data=view.encode(),
        )

        def report(error: Any, _message: Any) -> None:
            if error is not None:
                views.dropped.labels(view.name).inc()

        try:
            publisher.send(
                topic=told.topic, key=str(told.key), value=told.data, headers=headers_of(told), report=report
            )
        except (BrokerError, Refused):
            views.dropped.labels(view.name).inc()


def start(buffer: views.ViewBuffer) -> None:
    """Start the sender of this process, where there is a broker to send to."""
    if settings.KAFKA_BOOTSTRAP_SERVERS:
        ViewSender(buffer).start()
