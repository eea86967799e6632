"""How far the relay reads ahead of Kafka's acknowledgements, and how it learns of news."""

import os
import signal

import pytest
from pytest_django.fixtures import Settings

from integrations.kafka.models import Relay
from integrations.kafka.relay import IN_FLIGHT
from shop.kernel.ids import new_id
from shop.kernel.outbox.models import PendingEvent
from tests.integrations.kafka.conftest import relaying, tell, wait_until
from tests.integrations.kafka.test_relay import on_the_wire

pytestmark = pytest.mark.django_db(transaction=True)


def test_three_batches_are_under_way_and_no_fourth(broker_pid: int) -> None:
    key = new_id()
    os.kill(broker_pid, signal.SIGSTOP)
    tell(*[key] * 50)

    with relaying(batch=10) as relay:
        wait_until(lambda: len(relay._flights) == IN_FLIGHT == 3)
        (beat,) = Relay.objects.values_list("expires_at", flat=True)
        wait_until(lambda: Relay.objects.filter(expires_at__gt=beat).exists())
        assert [len(flight.sent) for flight in relay._flights] == [10, 10, 10]
        os.kill(broker_pid, signal.SIGCONT)
        wait_until(lambda: not PendingEvent.objects.exists())

    assert on_the_wire(key) == {key: list(range(1, 51))}


def test_news_that_nobody_announces_is_found_by_looking(settings: Settings) -> None:
    settings.REDIS_URL = ""
    key = new_id()

    with relaying():
        wait_until(Relay.objects.exists)
        tell(key)
        wait_until(lambda: not PendingEvent.objects.exists())

    assert on_the_wire(key) == {key: [1]}
