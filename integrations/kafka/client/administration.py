"""What can be asked of a broker, and the topics it is asked to make."""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from django.conf import settings

from integrations.kafka.client.connection import METADATA_SECONDS, library_log, options
from integrations.kafka.errors import BrokerError

# A probe that waits longer for its answer has been given up by whoever probes.
PROBE_SECONDS = 2.0


def partition_counts() -> dict[str, int]:
    """Return how many partitions each topic of the broker has. BrokerError when no broker answers."""
    known = _topics(AdminClient(options(), logger=library_log))
    return {name: len(described.partitions) for name, described in known.items()}


def ensure_topics(topics: Iterable[str]) -> Mapping[str, str]:
    """Create the topics that are missing; return what became of each: `there`, `created` or the reason it is not.

    A broker without topic administration (the embedded one) creates a topic when it is asked about it. BrokerError
    when no broker answers.
    """
    admin = AdminClient(options(), logger=library_log)
    known = _topics(admin)
    outcome = {topic: "there" for topic in topics if topic in known}
    wanted = [
        NewTopic(topic, settings.KAFKA_TOPIC_PARTITIONS, settings.KAFKA_TOPIC_REPLICATION)
        for topic in topics
        if topic not in known
    ]
    for topic, created in (admin.create_topics(wanted, operation_timeout=10) if wanted else {}).items():
        try:
            created.result()
            outcome[topic] = "created"
        except KafkaException as error:
            outcome[topic] = _touch(admin, topic, refusal=error.args[0])
    return outcome


def _topics(admin: AdminClient) -> Mapping[str, Any]:
    try:
        known: Mapping[str, Any] = admin.list_topics(timeout=METADATA_SECONDS).topics
    except KafkaException as error:
        raise BrokerError(error.args[0].str()) from error
    return known


def _touch(admin: AdminClient, topic: str, *, refusal: KafkaError) -> str:
    if refusal.code() == KafkaError.TOPIC_ALREADY_EXISTS:
        return "there"
    if refusal.code() != KafkaError._UNSUPPORTED_FEATURE:
        return f"{refusal.name()}: {refusal.str()}"
    described = admin.list_topics(topic, timeout=METADATA_SECONDS).topics[topic]
    return "created" if described.error is None else f"{described.error}"


@cache
def _asker() -> AdminClient:
    """Keep one connection a process for the question below: probes ask it every few seconds."""
    return AdminClient(options(), logger=library_log)


def kafka_reason() -> str | None:
    """Return why Kafka cannot be used, or None."""
    try:
        _asker().list_topics(timeout=PROBE_SECONDS)
    except KafkaException as error:
        # The next one begins at the bootstrap servers: this one may know no broker any more.
        _asker.cache_clear()
        return str(error.args[0].str())
    return None
