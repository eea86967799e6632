"""Which topics there are: those of every declared event."""

from threading import Event

import structlog
from django.conf import settings

from integrations.kafka import client
from integrations.kafka.errors import BrokerError
from shop.kernel.events import event_classes

log = structlog.get_logger(__name__)

RETRY_SECONDS = 1.0


def declared_topics() -> list[str]:
    """Return the topic of every event some context declares."""
    return sorted({declared.topic for declared in event_classes().values()})


def ensure_topics_when_reachable(*, stop: Event) -> dict[str, int]:
    """Create what is missing as soon as a broker answers, and return `miscounted_topics`; give up on `stop`."""
    told = False
    while not stop.is_set():
        try:
            ensure_topics()
            return miscounted_topics()
        except BrokerError as error:
            if not told:
                log.warning("kafka.waited_for", reason=str(error))
            told = True
            stop.wait(RETRY_SECONDS)
    return {}


def ensure_topics() -> dict[str, str]:
    """Create what is missing; return what became of each topic. BrokerError when no broker answers."""
    outcome = dict(client.ensure_topics(declared_topics()))
    for topic, became in outcome.items():
        if became not in {"there", "created"}:
            log.error("kafka.topic_missing", topic=topic, reason=became)
    return outcome


def miscounted_topics() -> dict[str, int]:
    """Return the topics that have not KAFKA_TOPIC_PARTITIONS partitions, and how many they have.

    A key's partition depends on their number. When that changes, later events of an order may overtake its earlier
    ones. BrokerError when no broker answers.
    """
    expected = settings.KAFKA_TOPIC_PARTITIONS
    counts = client.partition_counts()
    found = {topic: counts[topic] for topic in declared_topics() if counts.get(topic, expected) != expected}
    for topic, partitions in found.items():
        log.error("kafka.partitions_differ", topic=topic, partitions=partitions, expected=expected)
    return found
