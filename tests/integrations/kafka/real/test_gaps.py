"""What a group notices of records that the broker has no longer."""

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from prometheus_client import REGISTRY

from integrations.embedded.apache_kafka import Cluster
from integrations.kafka.groups import Group
from shop.kernel.ids import new_id
from shop.kernel.outbox.models import PendingEvent
from tests.integrations.kafka import effects
from tests.integrations.kafka.conftest import consuming, tell, wait_until
from tests.integrations.kafka.test_consumer import send_all

pytestmark = [pytest.mark.real_kafka, pytest.mark.django_db(transaction=True)]

TOPIC = "analytics.events"


def gaps(group: Group) -> float:
    return REGISTRY.get_sample_value("shop_consumer_gaps_total", {"group": group.name}) or 0


def drop_all_records(cluster: Cluster) -> None:
    """Make the broker drop what it has of the topic, as it does with what is too old."""
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap_servers})
    everything = [TopicPartition(TOPIC, partition, -1) for partition in range(12)]
    for dropped in admin.delete_records(everything).values():
        dropped.result(60)


def test_a_new_group_begins_at_the_oldest_record(three_brokers: Cluster, listening: Group) -> None:
    key = new_id()
    tell(key, key)
    send_all()
    drop_all_records(three_brokers)
    tell(key, start=3)
    send_all()

    with consuming(listening):
        wait_until(lambda: effects.effects(key))

    assert effects.effects(key) == [(key, 3)]
    assert gaps(listening) == 0


def test_a_group_that_missed_records_says_so_and_goes_on(
    three_brokers: Cluster, listening: Group, caplog: pytest.LogCaptureFixture
) -> None:
    key = new_id()
    tell(key)
    send_all()
    with consuming(listening):
        wait_until(lambda: effects.effects(key))
    assert gaps(listening) == 0

    tell(key, start=2)
    send_all()
    drop_all_records(three_brokers)
    tell(key, start=3)
    send_all()
    with consuming(listening):
        wait_until(lambda: len(effects.effects(key)) == 2)

    assert effects.effects(key) == [(key, 1), (key, 3)]
    assert gaps(listening) == 1
    assert "kafka.gap" in caplog.text
    assert not PendingEvent.objects.exists()
