"""For one topic and key, first occurrences arrive in the order of the commits, whatever becomes of the relays."""

import random
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Self
from uuid import UUID

import pytest
from django.db import connection

from integrations.kafka import relay as relay_module
from integrations.kafka.client import Headers, Publisher, Report
from integrations.kafka.models import Lease
from shop.kernel.ids import new_id
from shop.kernel.outbox.models import PendingEvent
from shop.kernel.outbox.services import publish
from shop.kernel.transactions import open_unit_of_work
from tests.integrations.kafka.conftest import relaying, wait_until
from tests.integrations.kafka.test_relay import TimedOut, first_occurrences, on_the_wire, process_environment
from tests.shop.kernel.outbox.factories import action

pytestmark = pytest.mark.django_db(transaction=True)


class RelayProcess:
    """A relay in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self._ready = folder / f"ready-{new_id()}"
        environment = process_environment(folder) | {"SHOP_READY_FILE": str(self._ready)}
        self._process = subprocess.Popen([sys.executable, "manage.py", "relay_outbox"], env=environment)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Kill it, if that has not happened yet."""
        self._process.kill()
        self._process.wait()

    def until_up(self) -> None:
        wait_until(self._ready.exists)

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)


def tell_all(keys: Sequence[UUID], *, rounds: int) -> None:
    """Tell one event of each key, `rounds` times."""
    for number in range(rounds):
        with open_unit_of_work():
            for key in keys:
                publish(action(user_id=key, n=number))


def waiting() -> int:
    return PendingEvent.objects.count()


def owners() -> set[UUID | None]:
    return set(Lease.objects.values_list("owner", flat=True))


def cut_other_connections() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND datname = current_database()"
        )


def cut_in_the_middle(keys: Sequence[UUID]) -> int:
    """Tell until connections are cut when some of it is sent and some is not; return how many rounds that took."""
    rounds, at_once = 0, 20
    while True:
        tell_all(keys, rounds=at_once)
        rounds += at_once
        wait_until(lambda: waiting() < at_once * len(keys))
        if waiting():
            cut_other_connections()
            return rounds


def in_order(keys: Sequence[UUID], *, rounds: int) -> bool:
    """Whether nothing is missing and first occurrences stand in the order of their telling."""
    seen = on_the_wire(*keys)
    return all(first_occurrences(seen[key]) == list(range(1, rounds + 1)) for key in keys)


def test_relays_are_killed_and_started_in_the_middle_of_their_work(tmp_path: Path) -> None:
    keys, rounds = [new_id() for _ in range(30)], 100

    def tell_at_once() -> None:
        """Tell so much that relays are at it for a while, and return when they have begun."""
        with open_unit_of_work():
            for number in range(rounds * len(keys)):
                publish(action(user_id=keys[number % len(keys)], n=number))
        wait_until(lambda: waiting() < rounds * len(keys))

    with RelayProcess(tmp_path) as first, RelayProcess(tmp_path) as second:
        first.until_up()
        second.until_up()
        tell_at_once()
        first.send(signal.SIGKILL)
        wait_until(lambda: not waiting())
        with RelayProcess(tmp_path) as third:
            third.until_up()
            tell_at_once()
            second.send(signal.SIGKILL)
            wait_until(lambda: not waiting())

    assert in_order(keys, rounds=2 * rounds)


def test_a_relay_stopped_for_longer_than_its_lease_goes_on_where_others_have_been(tmp_path: Path) -> None:
    keys, rounds = [new_id() for _ in range(64)], 60

    with RelayProcess(tmp_path) as paused, RelayProcess(tmp_path) as other:
        paused.until_up()
        other.until_up()
        wait_until(lambda: len(owners()) == 2 and None not in owners())
        tell_all(keys, rounds=rounds // 3)
        # In the middle of its work: some of its events are on their way, some are not.
        wait_until(lambda: waiting() < rounds // 3 * len(keys))
        paused.send(signal.SIGSTOP)
        tell_all(keys, rounds=rounds // 3)
        wait_until(lambda: len(owners()) == 1)
        paused.send(signal.SIGCONT)
        tell_all(keys, rounds=rounds // 3)
        wait_until(lambda: not waiting())

    assert in_order(keys, rounds=rounds)


def test_the_database_hangs_up_on_relays_in_the_middle_of_batches() -> None:
    keys = [new_id() for _ in range(20)]

    with relaying(batch=40), relaying(batch=40):
        rounds = sum(cut_in_the_middle(keys) for _ in range(3))
        wait_until(lambda: not waiting())

    assert in_order(keys, rounds=rounds)


class ShakyPublisher(Publisher):
    """A publisher through which the broker now and then takes nothing more, as one does that dies in mid-batch."""

    dice = random.Random(4_711)
    failures_left = 0

    def __init__(self) -> None:
        super().__init__()
        self._broken = False

    def send(self, *, topic: str, key: str, value: bytes, headers: Headers, report: Report) -> None:
        if ShakyPublisher.failures_left and self.dice.random() < 0.02:
            ShakyPublisher.failures_left -= 1
            self._broken = True
        if self._broken:
            report(TimedOut(), None)
        else:
            super().send(topic=topic, key=key, value=value, headers=headers, report=report)


def test_a_broker_that_fails_in_the_middle_of_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_module, "Publisher", ShakyPublisher)
    monkeypatch.setattr(ShakyPublisher, "failures_left", 8)
    keys, rounds = [new_id() for _ in range(20)], 60

    with relaying(batch=40), relaying(batch=40):
        tell_all(keys, rounds=rounds)
        wait_until(lambda: not waiting())

    assert ShakyPublisher.failures_left == 0
    assert in_order(keys, rounds=rounds)
