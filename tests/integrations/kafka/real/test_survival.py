"""Brokers that stop in the middle of the work: nothing is lost, nothing happens twice, each key stays in order."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import pytest

from integrations.embedded.apache_kafka import Cluster
from integrations.kafka.groups import Group
from shop.kernel.ids import new_id
from shop.kernel.outbox.models import LoggedEvent, PendingEvent
from tests.integrations.kafka import effects
from tests.integrations.kafka.conftest import consuming, in_thread, relaying, tell, wait_until
from tests.integrations.kafka.test_relay import first_occurrences, on_the_wire

pytestmark = [pytest.mark.real_kafka, pytest.mark.django_db(transaction=True)]

KEYS = [new_id() for _ in range(25)]
ROUNDS = 120
PATIENCE_SECONDS = 60.0


@contextmanager
def telling(keys: list[UUID]) -> Iterator[None]:
    """Tell one event a key again and again beside the block, at least until it ends, and ROUNDS times in all."""

    def tell_all() -> None:
        for number in range(ROUNDS):
            tell(*keys, start=number * len(keys) + 1)

    with in_thread(tell_all, lambda: None):
        yield


def handled(keys: list[UUID]) -> int:
    return len(effects.effects(*keys))


def assert_sound(keys: list[UUID]) -> None:
    """Compare the log with the wire and with the effects."""
    wire = on_the_wire(*keys)
    assert LoggedEvent.objects.filter(key__in=keys).count() == ROUNDS * len(keys)
    for at, key in enumerate(keys):
        told = [number * len(keys) + at + 1 for number in range(ROUNDS)]
        assert first_occurrences(wire[key]) == list(range(1, ROUNDS + 1))
        assert effects.effects(key) == [(key, n) for n in told]


def test_a_broker_killed_in_the_middle_loses_and_doubles_nothing(one_broker: Cluster, listening: Group) -> None:
    keys = [new_id() for _ in range(25)]

    with relaying(batch=100), consuming(listening) as member:
        wait_until(member.is_assigned.is_set)
        with telling(keys):
            wait_until(lambda: handled(keys) > 500)
            one_broker.brokers[0].kill()
            assert PendingEvent.objects.exists()
            one_broker.brokers[0].start()
        wait_until(lambda: handled(keys) >= ROUNDS * len(keys), seconds=PATIENCE_SECONDS)

    assert_sound(keys)
