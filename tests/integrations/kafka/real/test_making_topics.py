from io import StringIO

import pytest
from confluent_kafka.admin import AdminClient
from django.core.management import CommandError, call_command
from pytest_django.fixtures import Settings

from integrations.embedded.apache_kafka import Cluster
from integrations.kafka import client, topics
from shop.kernel.ids import new_id

pytestmark = [pytest.mark.real_kafka, pytest.mark.django_db(transaction=True)]


def copies(cluster: Cluster, topic: str) -> list[int]:
    """Return how many brokers keep each partition of the topic."""
    described = AdminClient({"bootstrap.servers": cluster.bootstrap_servers}).list_topics(topic, timeout=60)
    return [len(partition.replicas) for partition in described.topics[topic].partitions.values()]


def test_topics_have_the_partitions_and_copies_the_settings_say(three_brokers: Cluster, settings: Settings) -> None:
    name = f"made-{new_id()}"
    settings.KAFKA_TOPIC_PARTITIONS, settings.KAFKA_TOPIC_REPLICATION = 5, 2

    assert client.ensure_topics([name]) == {name: "created"}
    assert client.ensure_topics([name]) == {name: "there"}

    assert copies(three_brokers, name) == [2] * 5
    for topic in topics.declared_topics():
        assert copies(three_brokers, topic) == [3] * 12


def test_more_copies_than_brokers_are_refused_with_the_brokers_reason(
    three_brokers: Cluster, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.KAFKA_TOPIC_REPLICATION = 4
    name = f"refused-{new_id()}"
    monkeypatch.setattr(topics, "declared_topics", lambda: [name])
    printed = StringIO()

    with pytest.raises(CommandError, match=f"Not there: {name}"):
        call_command("ensure_topics", stdout=printed)

    assert "INVALID_REPLICATION_FACTOR" in printed.getvalue()
