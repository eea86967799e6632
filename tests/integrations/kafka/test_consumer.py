import secrets
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from confluent_kafka import Consumer, TopicPartition
from django.core.management import CommandError, call_command
from django.db import connection
from prometheus_client import REGISTRY

from integrations.kafka import parking
from integrations.kafka.client import Publisher, Received, read_back
from integrations.kafka.client.connection import METADATA_SECONDS, library_log, options
from integrations.kafka.groups import Group
from integrations.kafka.models import Inbox, Parked
from shop.kernel.clock import utc_now
from shop.kernel.ids import new_id
from shop.kernel.outbox.models import PendingEvent
from tests.integrations.kafka import effects
from tests.integrations.kafka.conftest import DEADLINE_SECONDS, consuming, inbox_locked, relaying, tell, wait_until
from tests.integrations.kafka.raw_producer import produce
from tests.integrations.kafka.test_delivery import told
from tests.integrations.kafka.test_relay import process_environment
from tests.races import at_once

pytestmark = pytest.mark.django_db(transaction=True)


def send_all() -> None:
    """Relay what was told."""
    with relaying():
        wait_until(lambda: not PendingEvent.objects.exists())


def last_record(key: UUID) -> Received:
    """Return the last that the broker has of this key."""
    return [record for record in read_back(topics=["analytics.events"]) if record.key == str(key).encode()][-1]


def has_committed(group: Group, record: Received) -> bool:
    """Say whether the broker knows that the group has handled this record."""
    asking = Consumer(options(**{"group.id": group.name}), logger=library_log)
    try:
        place = TopicPartition(record.topic, record.partition)
        [known] = asking.committed([place], timeout=METADATA_SECONDS)
        return bool(known.offset > record.offset)
    finally:
        asking.close()


def test_events_come_through_in_order_and_once(listening: Group) -> None:
    one, two = new_id(), new_id()

    with relaying(), consuming(listening):
        for start in range(1, 200, 20):
            tell(*[one, two] * 10, start=start)
        wait_until(lambda: len(effects.effects(one, two)) == 200)

    assert effects.effects(one) == [(one, n) for n in range(1, 200, 2)]
    assert effects.effects(two) == [(two, n) for n in range(2, 201, 2)]


def test_a_second_member_goes_on_where_the_first_stopped(listening: Group) -> None:
    key = new_id()
    tell(*[key] * 5)
    send_all()
    fifth = last_record(key)
    with consuming(listening):
        wait_until(lambda: len(effects.effects(key)) == 5)
        # A member that is late is sent away, its commit is refused, and the next one begins anew.
        wait_until(lambda: has_committed(listening, fifth))
    Inbox.objects.all().delete()

    tell(key, start=6)
    send_all()
    with consuming(listening):
        wait_until(lambda: len(effects.effects(key)) == 6)

    # Without inbox rows only the committed offsets kept the first five from coming again.
    assert effects.effects(key) == [(key, n) for n in range(1, 7)]


def test_kill_9_between_effect_and_commit_doubles_nothing(listening: Group, tmp_path: Path) -> None:
    key = new_id()
    tell(*[key] * 30)
    send_all()

    killed = subprocess.run(
        [sys.executable, "-m", "tests.integrations.kafka.dying_consumer", listening.name, str(key)],
        env=process_environment(tmp_path),
        timeout=DEADLINE_SECONDS,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    assert effects.effects(key)
    with consuming(listening):
        wait_until(lambda: len(effects.effects(key)) >= 30)
        tell(key, start=31)
        send_all()
        wait_until(lambda: (key, 31) in effects.effects(key))

    assert effects.effects(key) == [(key, n) for n in range(1, 32)]


def test_two_members_share_the_partitions_and_double_nothing(listening: Group) -> None:
    keys = [new_id() for _ in range(40)]

    with relaying(), consuming(listening) as first:
        wait_until(first.is_assigned.is_set)
        tell(*keys)
        with consuming(listening) as second:
            wait_until(second.is_assigned.is_set)
            tell(*keys, start=41)
            wait_until(lambda: len(effects.effects(*keys)) >= 80)

    for at, key in enumerate(keys, 1):
        assert effects.effects(key) == [(key, at), (key, at + 40)]


def test_a_poisoned_key_is_parked_while_others_flow_and_drained_in_order_later(listening: Group) -> None:
    poison, healthy = new_id(), new_id()
    effects.poisoned.add(poison)

    with relaying(), consuming(listening):
        for start in range(1, 20, 2):
            tell(poison, healthy, start=start)
        wait_until(lambda: len(effects.effects(healthy)) == 10)
        wait_until(lambda: Parked.objects.filter(key=poison).count() == 10)
    assert effects.effects(poison) == []
    effects.poisoned.clear()

    assert parking.redrive_due(now=utc_now() + timedelta(minutes=1)) == 10

    assert effects.effects(poison) == [(poison, n) for n in range(1, 20, 2)]
    assert not Parked.objects.filter(key=poison).exists()


def test_what_nobody_can_read_is_kept_as_it_came(listening: Group) -> None:
    publisher = Publisher()
    publisher.send(
        topic="analytics.events",
        key=listening.name,
        value=b"\x00\xff",
        headers=[("ce_id", b"\xfe")],
        report=lambda *_: None,
    )
    assert publisher.flush(DEADLINE_SECONDS)

    with consuming(listening):
        wait_until(Parked.objects.filter(key=listening.name).exists)

    letter = Parked.objects.get(key=listening.name)
    assert (letter.state, letter.topic, bytes(letter.value)) == ("dead", "analytics.events", b"\x00\xff")
    assert "UTF-8" in letter.last_error


def test_a_header_whose_name_is_no_text_stops_nobody(listening: Group) -> None:
    key = new_id()
    body = f"named {listening.name}".encode()
    produce(topic="analytics.events", value=body, header_name=b"ce_\xff")

    with relaying(), consuming(listening):
        tell(key)
        wait_until(lambda: effects.effects(key))
        wait_until(Parked.objects.filter(value=body).exists)

    letter = Parked.objects.get(value=body)
    assert (letter.state, letter.topic) == ("dead", "analytics.events")
    assert "names of its headers are not UTF-8" in letter.last_error


def test_a_key_longer_than_an_index_takes_stops_nobody(listening: Group) -> None:
    poison, healthy = new_id(), new_id()
    effects.poisoned.add(poison)
    tell(poison)
    (event,) = told()
    # Not to be compressed: PostgreSQL would.
    key = secrets.token_urlsafe(6_000)
    publisher = Publisher()
    headers = [(name, value.encode()) for name, value in event.headers.items()]
    publisher.send(topic=event.topic, key=key, value=event.data, headers=headers, report=lambda *_: None)
    assert publisher.flush(DEADLINE_SECONDS)
    PendingEvent.objects.all().delete()

    with relaying(), consuming(listening):
        tell(healthy)
        wait_until(lambda: effects.effects(healthy))
        wait_until(Parked.objects.filter(key=key).exists)

    letter = Parked.objects.get(key=key)
    assert letter.state == "dead"
    assert "A key of more than 1000 bytes" in letter.last_error
    assert parking.revive(parked_ids=[letter.id], now=utc_now()) == 0


def test_a_database_that_goes_away_is_waited_for(listening: Group) -> None:
    key = new_id()

    with relaying(), consuming(listening) as member:
        tell(key)
        wait_until(lambda: effects.effects(key))
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE pid <> pg_backend_pid() AND datname = current_database()"
            )
        tell(key, start=2)
        wait_until(lambda: len(effects.effects(key)) == 2)
        assert member.is_assigned.is_set()

    assert effects.effects(key) == [(key, 1), (key, 2)]


def test_a_group_that_gets_nothing_done_is_behind(listening: Group) -> None:
    def behind() -> float | None:
        return REGISTRY.get_sample_value("shop_consumer_lag", {"group": listening.name})

    with relaying(), consuming(listening):
        wait_until(lambda: behind() == 0)
        # Beyond `lock_timeout`: all that enters the inbox fails, and is tried again.
        with inbox_locked():
            at_once(lambda: tell(new_id()))
            # More than ours, where others tell on the same broker.
            wait_until(lambda: (behind() or 0) >= 1)
        wait_until(lambda: behind() == 0)


@pytest.mark.parametrize("name", ["nobody", ""])
def test_an_unknown_group_is_refused(name: str) -> None:
    with pytest.raises(CommandError, match=f"no consumer called {name};"):
        call_command("consume_events", group=name)
