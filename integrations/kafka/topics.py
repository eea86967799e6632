"""Which topics there are: those of every declared event."""

from threading import Event

import structlog

from integrations.kafka import client
from integrations.kafka.errors import BrokerError
from shop.kernel.events import event_classes

log = structlog.get_logger(__name__)

RETRY_SECONDS = 1.0


def declared_topics() -> list[str]:
    """Return the topic of every event some context declares."""
    return sorted({declared.topic for declared in event_classes().values()})


def ensure_topics_when_reachable(*, stop: Event) -> None:
    """Create what is missing as soon as a broker answers; give up when `stop` is set."""
    told = False
    while not stop.is_set():
        try:
            ensure_topics()
        except BrokerError as error:
            if not told:
                log.warning("kafka.waited_for", reason=str(error))
            told = True
            stop.wait(RETRY_SECONDS)
        else:
            return


def ensure_topics() -> dict[str, str]:
    """Create what is missing; return what became of each topic. BrokerError when no broker answers."""
    outcome = dict(client.ensure_topics(declared_topics()))
    for topic, became in outcome.items():
        if became not in {"there", "created"}:
            log.error("kafka.topic_missing", topic=topic, reason=became)
    return outcome
