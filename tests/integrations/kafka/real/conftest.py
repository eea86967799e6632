"""Three brokers that every test of this folder shares, and one of its own for a test that restarts it."""

from collections.abc import Iterator

import pytest
from pytest_django.fixtures import Settings

from integrations.embedded.apache_kafka import Cluster, apache_kafka
from integrations.kafka.groups import Group
from integrations.kafka.topics import ensure_topics


@pytest.fixture(scope="session")
def running_brokers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three brokers, all of which run between tests."""
    with apache_kafka(tmp_path_factory.mktemp("kafka"), brokers=3) as cluster:
        yield cluster


@pytest.fixture
def three_brokers(running_brokers: Cluster, listening: Group, settings: Settings) -> Cluster:
    """Three brokers with the shop's topics, which this test's relays and consumers use."""
    for broker in running_brokers.brokers:
        if not broker.child.is_running:
            broker.start()
    use(running_brokers, settings)
    return running_brokers


@pytest.fixture
def one_broker(tmp_path_factory: pytest.TempPathFactory, listening: Group, settings: Settings) -> Iterator[Cluster]:
    """A broker of this test's own with the shop's topics."""
    with apache_kafka(tmp_path_factory.mktemp("kafka")) as cluster:
        use(cluster, settings)
        yield cluster


def use(cluster: Cluster, settings: Settings) -> None:
    """Point the shop to this cluster and make its topics."""
    settings.KAFKA_BOOTSTRAP_SERVERS = cluster.bootstrap_servers
    settings.KAFKA_TOPIC_PARTITIONS = 12
    settings.KAFKA_TOPIC_REPLICATION = cluster.copies
    # The shortest that real brokers accept.
    settings.KAFKA_SESSION_TIMEOUT_MS = 6_000
    assert set(ensure_topics().values()) <= {"there", "created"}
