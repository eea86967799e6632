"""Brokers killed in the middle of the work: nothing is lost, nothing happens twice, each key stays in order."""

from collections import Counter
from collections.abc import Callable
from uuid import UUID

import pytest
from confluent_kafka.admin import AdminClient
from django.db.models import Count

from integrations.embedded.apache_kafka import Cluster
from integrations.kafka.groups import Group
from integrations.kafka.models import Inbox
from shop.kernel.ids import new_id
from shop.kernel.outbox.models import LoggedEvent, PendingEvent
from tests.integrations.kafka import effects
from tests.integrations.kafka.conftest import consuming, in_thread, relaying, tell, wait_until
from tests.integrations.kafka.test_relay import first_occurrences, on_the_wire

pytestmark = [pytest.mark.real_kafka, pytest.mark.django_db(transaction=True)]

ROUNDS = 100
KEYS = 20
PATIENCE_SECONDS = 240.0


def keys() -> list[UUID]:
    return [new_id() for _ in range(KEYS)]


def tell_rounds(shoppers: list[UUID], *, already: int = 0) -> Callable[[], None]:
    """Return what tells ROUNDS events of each shopper, numbered within each."""

    def tell_all() -> None:
        for number in range(already, already + ROUNDS):
            tell(*shoppers, start=number * KEYS + 1)

    return tell_all


def handled(shoppers: list[UUID]) -> int:
    return len(effects.effects(*shoppers))


def until_all_is_handled(shoppers: list[UUID], *, rounds: int = ROUNDS) -> None:
    try:
        wait_until(lambda: handled(shoppers) >= rounds * KEYS, seconds=PATIENCE_SECONDS)
    except AssertionError as error:
        sent = sum(map(len, on_the_wire(*shoppers).values()))
        queued = PendingEvent.objects.count()
        error.add_note(f"queued {queued}, on the wire {sent}, handled {handled(shoppers)} of {rounds * KEYS}")
        raise


def assert_sound(shoppers: list[UUID], group: Group, *, rounds: int = ROUNDS) -> None:
    """Compare the log with the wire, with the inbox and with the effects."""
    wire = on_the_wire(*shoppers)
    for place, shopper in enumerate(shoppers):
        assert first_occurrences(wire[shopper]) == list(range(1, rounds + 1))
        assert effects.effects(shopper) == [(shopper, number * KEYS + place + 1) for number in range(rounds)]
    told = set(LoggedEvent.objects.filter(key__in=shoppers).values_list("id", flat=True))
    assert set(Inbox.objects.filter(consumer=group.name, event_id__in=told).values_list("event_id", flat=True)) == told
    assert not PendingEvent.objects.exists()


def test_the_only_broker_is_killed_and_comes_back(one_broker: Cluster, listening: Group) -> None:
    shoppers = keys()
    (broker,) = one_broker.brokers

    with relaying(batch=100), consuming(listening):
        with in_thread(tell_rounds(shoppers), lambda: None):
            wait_until(lambda: handled(shoppers) > KEYS)
            broker.kill()
        # However quick the relay was: this is told to a broker that is away.
        tell(*shoppers, start=ROUNDS * KEYS + 1)
        queued = dict(PendingEvent.objects.values_list("state").annotate(Count("position")))
        broker.start()
        until_all_is_handled(shoppers, rounds=ROUNDS + 1)

    assert set(queued) == {"pending"}
    assert_sound(shoppers, listening, rounds=ROUNDS + 1)


def test_members_that_come_and_go_in_the_middle_double_nothing(three_brokers: Cluster, listening: Group) -> None:
    shoppers = keys()

    with relaying(), consuming(listening) as first:
        wait_until(first.is_assigned.is_set)
        with in_thread(tell_rounds(shoppers), lambda: None):
            for _ in range(3):
                with consuming(listening) as passing:
                    wait_until(passing.is_assigned.is_set)
        until_all_is_handled(shoppers)

    assert_sound(shoppers, listening)


def test_one_of_three_brokers_is_killed_while_everything_works(three_brokers: Cluster, listening: Group) -> None:
    shoppers = keys()
    lost = three_brokers.brokers[0]

    with relaying(batch=100), relaying(batch=100), consuming(listening), consuming(listening):
        with in_thread(tell_rounds(shoppers), lambda: None):
            wait_until(lambda: handled(shoppers) > KEYS)
            assert lost.number in leaders(three_brokers)
            lost.kill()
        until_all_is_handled(shoppers)
        # All of it went on without the lost one; partitions where nothing was to do may learn of it later.
        wait_until(lambda: lost.number not in leaders(three_brokers))

    assert_sound(shoppers, listening)


def leaders(cluster: Cluster) -> Counter[int]:
    """Return which brokers lead partitions of the topic, and how many."""
    described = AdminClient({"bootstrap.servers": cluster.bootstrap_servers}).list_topics(
        "analytics.events", timeout=PATIENCE_SECONDS
    )
    return Counter(partition.leader for partition in described.topics["analytics.events"].partitions.values())
