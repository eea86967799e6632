"""Which topics there are: those of every declared event."""

import structlog

from integrations.kafka import client
from shop.kernel.events import event_classes

log = structlog.get_logger(__name__)


def declared_topics() -> list[str]:
    """Return the topic of every event some context declares."""
    return sorted({declared.topic for declared in event_classes().values()})


def ensure_topics() -> dict[str, str]:
    """Create what is missing; return what became of each topic."""
    outcome = dict(client.ensure_topics(declared_topics()))
    for topic, became in outcome.items():
        if became not in {"there", "created"}:
            log.error("kafka.topic_missing", topic=topic, reason=became)
    return outcome
