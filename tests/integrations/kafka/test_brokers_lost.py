"""A client that believed a broker which said that there is no broker is replaced, whatever it was for."""

import json
import time
from contextlib import nullcontext

import pytest
from pytest_django.fixtures import Settings

from integrations.kafka import consumer as consumer_module
from integrations.kafka import metrics
from integrations.kafka import relay as relay_module
from integrations.kafka.client import Publisher, Received, Subscriber, administration, connection, kafka_reason
from integrations.kafka.client.connection import Reach
from integrations.kafka.errors import BrokersLost
from integrations.kafka.groups import Group
from shop.kernel.ids import new_id
from shop.kernel.outbox import queue
from tests.integrations.kafka.brokerless import Door, door
from tests.integrations.kafka.conftest import DEADLINE_SECONDS, consuming, relaying, tell, wait_until
from tests.integrations.kafka.effects import effects

pytestmark = pytest.mark.django_db(transaction=True)

NOWHERE = "127.0.0.1:9"


def figures(brokers: dict[str, str]) -> str:
    """Return what librdkafka counts, as far as it matters here: brokers by name, and how it knows of each."""
    return json.dumps({"brokers": {name: {"source": source, "state": "UP"} for name, source in brokers.items()}})


# Taken from a client that read nothing any more, ten minutes after its broker had been killed and started.
FORGOTTEN = figures({"GroupCoordinator": "logical", ":0/internal": "internal"})
LYING_SECONDS = 10.0


class ForgetfulSubscriber(Subscriber):
    """A subscriber whose client has forgotten every broker once it has received something."""

    left = 1

    def receive(self, *, limit: int, seconds: float) -> list[Received]:
        received = super().receive(limit=limit, seconds=seconds)
        if received and ForgetfulSubscriber.left:
            ForgetfulSubscriber.left -= 1
            self._reach.looked(FORGOTTEN)
        return received


def test_a_consumer_joins_its_group_again(listening: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer_module, "Subscriber", ForgetfulSubscriber)
    monkeypatch.setattr(ForgetfulSubscriber, "left", 1)
    key = new_id()

    with consuming(listening), relaying():
        tell(key)
        wait_until(lambda: effects(key))
        tell(key, start=2)
        wait_until(lambda: len(effects(key)) > 1)

    assert ForgetfulSubscriber.left == 0
    assert effects(key) == [(key, 1), (key, 2)]


def test_whatever_a_starting_broker_says_the_consumer_goes_on_afterwards(
    listening: Group, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "LOOK_MS", 100)
    key = new_id()
    with door(broker=settings.KAFKA_BOOTSTRAP_SERVERS) as way:
        settings.KAFKA_BOOTSTRAP_SERVERS = way.address
        with consuming(listening) as member, relaying():
            wait_until(member.is_assigned.is_set)
            tell(key)
            wait_until(lambda: effects(key))

            lie_and_hang_up(way)
            tell(key, start=2)
            wait_until(lambda: len(effects(key)) > 1)

    assert effects(key) == [(key, 1), (key, 2)]


def lie_and_hang_up(way: Door) -> None:
    """Say that there is no broker, and hang up, over and over: within ten seconds most clients have forgotten all."""
    way.knows_no_broker = True
    ends_at = time.monotonic() + LYING_SECONDS
    while time.monotonic() < ends_at or not way.denials:
        way.cut()
        time.sleep(0.05)
    way.knows_no_broker = False


class ForgetfulPublisher(Publisher):
    """A publisher whose client has forgotten every broker when it has first been asked."""

    left = 1

    def poll(self, seconds: float) -> None:
        super().poll(seconds)
        if ForgetfulPublisher.left:
            ForgetfulPublisher.left -= 1
            # Minded at once: what the client itself counts next would take it back.
            self._reach.looked(FORGOTTEN)
            self._reach.check()


def test_a_relay_sends_on_through_another_publisher(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_module, "Publisher", ForgetfulPublisher)
    monkeypatch.setattr(ForgetfulPublisher, "left", 1)
    interruptions = metrics.relay_errors.labels("broker")._value
    before = interruptions.get()
    tell(new_id())

    with relaying():
        wait_until(lambda: interruptions.get() == before + 1)
        tell(new_id())
        wait_until(lambda: not queue.depth().pending)

    assert ForgetfulPublisher.left == 0
    assert interruptions.get() == before + 1
    assert queue.depth().failed == 0


@pytest.mark.parametrize(
    ("brokers", "lost"),
    [
        ({"GroupCoordinator": "logical", ":0/internal": "internal"}, True),
        ({"GroupCoordinator": "logical", "kafka:9092/bootstrap": "configured"}, False),
        ({"GroupCoordinator": "logical", "kafka:9092/1": "learned"}, False),
    ],
)
def test_lost_is_who_knows_neither_a_broker_nor_where_to_ask_for_one(brokers: dict[str, str], *, lost: bool) -> None:
    reach = Reach(who="somebody")

    reach.looked(figures(brokers))

    with pytest.raises(BrokersLost) if lost else nullcontext():
        reach.check()


def test_the_probe_asks_the_bootstrap_servers_again(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    servers = settings.KAFKA_BOOTSTRAP_SERVERS
    settings.KAFKA_BOOTSTRAP_SERVERS = NOWHERE
    administration._asker.cache_clear()
    assert kafka_reason() is not None

    settings.KAFKA_BOOTSTRAP_SERVERS = servers
    monkeypatch.setattr(administration, "PROBE_SECONDS", DEADLINE_SECONDS)

    # A single question has two seconds, and a busy broker may take longer.
    wait_until(lambda: kafka_reason() is None)
