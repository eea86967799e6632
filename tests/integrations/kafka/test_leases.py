"""Who reads which shard: fair shares, and a hand-over that waits until nothing of the shard is under way."""

import pytest

from integrations.kafka import leases
from integrations.kafka.leases import Leases
from integrations.kafka.models import Lease
from shop.kernel.outbox.services import SHARDS

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("long_lived_relays")]


@pytest.fixture(autouse=True)
def _every_call_is_a_beat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "BEAT_SECONDS", 0.0)


def owned_by(relay: Leases) -> set[int]:
    return set(Lease.objects.filter(owner=relay.token).values_list("shard", flat=True))


def test_one_relay_reads_everything() -> None:
    relay = Leases()

    relay.keep(busy=set())

    assert relay.readable == relay.held == frozenset(range(SHARDS))


def test_three_relays_read_a_third_each_and_no_shard_twice() -> None:
    relays = [Leases() for _ in range(3)]

    for _ in range(3):
        for relay in relays:
            relay.keep(busy=set())

    assert sorted(len(relay.readable) for relay in relays) == [21, 21, 22]
    assert frozenset.union(*(relay.readable for relay in relays)) == frozenset(range(SHARDS))


def test_a_shard_with_events_under_way_is_read_no_more_and_handed_over_once_it_is_quiet() -> None:
    first, second = Leases(), Leases()
    first.keep(busy=set())
    second.keep(busy=set())
    busy = {SHARDS - 1, SHARDS - 2}

    first.keep(busy=busy)
    second.keep(busy=set())

    assert first.readable == frozenset(range(SHARDS // 2))
    assert owned_by(first) == set(range(SHARDS // 2)) | busy
    assert not busy & second.readable

    first.keep(busy=set())
    second.keep(busy=set())

    assert second.readable == frozenset(range(SHARDS // 2, SHARDS))


def test_who_gives_up_leaves_nothing_behind() -> None:
    first, second = Leases(), Leases()
    first.keep(busy=set())

    first.give_up()
    second.keep(busy=set())

    assert first.readable == frozenset()
    assert second.readable == frozenset(range(SHARDS))


def test_who_is_held_up_after_its_sign_of_life_counts_itself_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "ALIVE_SECONDS", -1)
    relay = Leases()

    relay.keep(busy=set())

    assert relay.readable == relay.held == frozenset(range(SHARDS))
