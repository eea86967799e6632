"""A topic that takes less than its producers believe: the broker refuses a batch for one of its records."""

import secrets

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.admin._resource import ResourceType

from integrations.embedded.apache_kafka import Cluster
from shop.kernel.ids import new_id
from shop.kernel.outbox import queue
from shop.kernel.outbox.models import PendingEvent
from shop.kernel.outbox.services import publish
from shop.kernel.transactions import open_unit_of_work
from tests.integrations.kafka.conftest import relaying, wait_until
from tests.integrations.kafka.test_relay import first_occurrences, on_the_wire
from tests.shop.kernel.outbox.factories import action

pytestmark = [pytest.mark.real_kafka, pytest.mark.django_db(transaction=True)]

OTHERS = 40
SETTING = "max.message.bytes"
MOST_BYTES = 20_000


def limit_the_topic(cluster: Cluster) -> None:
    """Let the topic of user actions take no more than so many bytes at once; return when the broker knows it."""
    limit = ConfigEntry(SETTING, str(MOST_BYTES), incremental_operation=AlterConfigOpType.SET)
    topic = ConfigResource(ResourceType.TOPIC, "analytics.events", incremental_configs=[limit])
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap_servers})
    for altered in admin.incremental_alter_configs([topic]).values():
        altered.result(timeout=60)

    def is_known() -> bool:
        asked = admin.describe_configs([ConfigResource(ResourceType.TOPIC, "analytics.events")])
        return all(answer.result(timeout=60)[SETTING].value == str(MOST_BYTES) for answer in asked.values())

    wait_until(is_known)


def test_the_broker_refuses_a_batch_for_one_record_and_that_record_alone_blocks_its_key(one_broker: Cluster) -> None:
    limit_the_topic(one_broker)
    large, others = new_id(), [new_id() for _ in range(OTHERS)]
    with open_unit_of_work():
        for other in others:
            publish(action(user_id=other, n=1))
        # By chance: compression must not make it small.
        publish(action(user_id=large, name=secrets.token_hex(MOST_BYTES), n=1))
        publish(action(user_id=large, n=2))
        for other in others:
            publish(action(user_id=other, n=2))

    with relaying():
        wait_until(lambda: queue.depth().failed == 1 and queue.depth().pending == 1)

    wire = on_the_wire(large, *others)
    assert wire[large] == []
    assert all(first_occurrences(wire[other]) == [1, 2] for other in others)
    assert PendingEvent.objects.get(state="failed").key == large
    assert PendingEvent.objects.get(state="pending").key == large


def test_what_the_client_has_put_into_the_same_batch_is_not_refused_with_it(one_broker: Cluster) -> None:
    limit_the_topic(one_broker)
    large = new_id()
    with open_unit_of_work():
        publish(action(user_id=large, name=secrets.token_hex(MOST_BYTES), n=1))
        publish(action(user_id=large, n=2))

    with relaying(batch=1):
        wait_until(lambda: queue.depth().failed == 1)

    assert on_the_wire(large) == {large: []}
    assert queue.depth().pending == 1
