import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from django.conf import settings as configured
from django.db import OperationalError, connection

from integrations.kafka import relay as relay_module
from integrations.kafka.client import Headers, Publisher, Report, read_back
from integrations.kafka.leases import Leases
from integrations.kafka.models import Lease, Relay
from shop.kernel.ids import new_id
from shop.kernel.outbox import queue
from shop.kernel.outbox.models import LoggedEvent, PendingEvent
from shop.kernel.outbox.services import publish
from shop.kernel.transactions import open_unit_of_work
from tests.integrations.kafka.conftest import DEADLINE_SECONDS, in_thread, relaying, tell, wait_until
from tests.races import at_once
from tests.shop.kernel.outbox.factories import action, expired

pytestmark = pytest.mark.django_db(transaction=True)


def on_the_wire(*keys: UUID, topic: str = "analytics.events") -> dict[UUID, list[int]]:
    """Return the sequences of these keys in the order in which the broker keeps them."""
    wanted = {str(key).encode(): key for key in keys}
    found: dict[UUID, list[int]] = {key: [] for key in keys}
    for record in read_back(topics=[topic]):
        if record.key in wanted:
            found[wanted[record.key]].append(int(record.headers["ce_sequence"]))
    return found


def first_occurrences(sequences: list[int]) -> list[int]:
    return list(dict.fromkeys(sequences))


def queue_is_empty() -> bool:
    return not PendingEvent.objects.exists()


def test_told_events_reach_the_broker_and_leave_the_queue() -> None:
    shopper, order_id = new_id(), new_id()

    with relaying():
        with open_unit_of_work():
            publish(action(user_id=shopper))
            publish(expired(order_id=order_id))
        wait_until(queue_is_empty)

    (record,) = [r for r in read_back(topics=["order.expired"]) if r.key.decode() == str(order_id)]
    assert record.headers["ce_id"].decode() == str(LoggedEvent.objects.get(key=order_id).id)
    assert record.headers["ce_type"] == b"order.expired.v1"
    assert record.value.startswith(b"{")
    assert on_the_wire(shopper) == {shopper: [1]}


@pytest.mark.usefixtures("long_lived_relays")
def test_each_key_stays_in_order_while_relays_come_and_go() -> None:
    keys = [new_id() for _ in range(20)]
    told, stop_first = threading.Event(), threading.Event()

    def tell_all() -> None:
        for number in range(1, 41):
            tell_each(keys, number)
        told.set()

    with relaying(batch=25, stop=stop_first), in_thread(tell_all, lambda: None):
        wait_until(lambda: LoggedEvent.objects.count() > 100)
        with relaying(batch=25):
            wait_until(lambda: Relay.objects.count() == 2 and len(set(owners())) == 2)
            wait_until(told.is_set)
            stop_first.set()
            wait_until(queue_is_empty)

    assert on_the_wire(*keys) == {key: list(range(1, 41)) for key in keys}


def tell_each(keys: list[UUID], number: int) -> None:
    for key in keys:
        with open_unit_of_work():
            publish(action(user_id=key, n=number))


def owners() -> list[UUID]:
    return [owner for owner in Lease.objects.values_list("owner", flat=True) if owner]


def test_shards_are_shared_fairly_and_handed_over_at_the_end() -> None:
    with relaying():
        wait_until(lambda: len(owners()) == 64)
        with relaying():
            wait_until(lambda: sorted(Counter(owners()).values()) == [32, 32])
        wait_until(lambda: len(set(owners())) == 1 and len(owners()) == 64)

    assert owners() == []
    assert not Relay.objects.exists()


def test_shards_of_a_killed_relay_on_this_host_are_taken_at_once() -> None:
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO kafka_relay VALUES (%s, %s, %s, now(), now() + interval '1 hour')",
            [new_id(), os.uname().nodename, int(gone.stdout)],
        )
        cursor.execute(
            "INSERT INTO kafka_lease SELECT n, (SELECT token FROM kafka_relay) FROM generate_series(0, 63) n"
        )

    with relaying():
        wait_until(lambda: len(owners()) == 64 and Relay.objects.count() == 1)


@pytest.fixture
def relay_process(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A relay in a process of its own, on the test's database."""
    process = subprocess.Popen([sys.executable, "manage.py", "relay_outbox"], env=process_environment(tmp_path))
    yield process
    process.kill()
    process.wait()


def process_environment(tmp_path: Path) -> dict[str, str]:
    """Return the environment in which a command works on this test's database and broker."""
    base = os.environ["DATABASE_URL"].replace("/shop?", f"/{connection.settings_dict['NAME']}?")
    return os.environ | {
        "DATABASE_URL": base,
        "DJANGO_SETTINGS_MODULE": "settings.test",
        "KAFKA_REPUBLISH_AT_BOOT_SECONDS": "0",
        "SHOP_READY_FILE": str(tmp_path / "ready"),
        "KAFKA_SESSION_TIMEOUT_MS": str(configured.KAFKA_SESSION_TIMEOUT_MS),
        "LOG_LEVEL": "ERROR",
    }


def test_kill_9_in_the_middle_loses_nothing(relay_process: subprocess.Popen[bytes], tmp_path: Path) -> None:
    wait_until((tmp_path / "ready").exists)
    keys = [new_id() for _ in range(50)]
    total = 5_000
    for _ in range(20):
        with open_unit_of_work():
            for key in keys * 5:
                publish(expired(order_id=key))

    relay_process.send_signal(signal.SIGKILL)
    relay_process.wait()
    left = PendingEvent.objects.count()
    with relaying():
        wait_until(queue_is_empty)

    seen = on_the_wire(*keys, topic="order.expired")
    assert {key: first_occurrences(sequences) for key, sequences in seen.items()} == {
        key: list(range(1, total // len(keys) + 1)) for key in keys
    }
    # What had been taken out of the queue was on the broker: only what was left could be sent twice.
    assert sum(len(sequences) for sequences in seen.values()) <= total + left


def test_sigterm_hands_the_shards_over(relay_process: subprocess.Popen[bytes], tmp_path: Path) -> None:
    wait_until((tmp_path / "ready").exists)
    assert len(owners()) == 64

    relay_process.terminate()

    assert relay_process.wait(DEADLINE_SECONDS) == 0
    assert owners() == []


def test_broker_away_fails_no_event_and_all_arrive_after(broker_pid: int) -> None:
    key = new_id()
    with relaying():
        tell(key)
        wait_until(queue_is_empty)
        os.kill(broker_pid, signal.SIGSTOP)
        tell(*[key] * 9)
        assert not queue_is_empty()
        os.kill(broker_pid, signal.SIGCONT)
        wait_until(queue_is_empty)

    assert first_occurrences(on_the_wire(key)[key]) == list(range(1, 11))


class FlakyPublisher(Publisher):
    """A publisher whose first records get an error instead of an acknowledgement."""

    failures_left = 2

    def send(self, *, topic: str, key: str, value: bytes, headers: Headers, report: Report) -> None:
        if FlakyPublisher.failures_left:
            FlakyPublisher.failures_left -= 1
            report(TimedOut(), None)
            return
        super().send(topic=topic, key=key, value=value, headers=headers, report=report)


class TimedOut:
    """An error as librdkafka's client hands it over."""

    def code(self) -> int:
        return -192

    def name(self) -> str:
        return "_MSG_TIMED_OUT"

    def str(self) -> str:
        return "Local: Message timed out"


def test_after_a_delivery_error_everything_is_sent_again_from_the_front(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_module, "Publisher", FlakyPublisher)
    monkeypatch.setattr(FlakyPublisher, "failures_left", 2)
    key = new_id()
    tell(key, key, key)

    with relaying():
        wait_until(queue_is_empty)

    assert FlakyPublisher.failures_left == 0
    assert on_the_wire(key)[key][-3:] == [1, 2, 3]
    assert not PendingEvent.objects.filter(attempts__gt=0).exists()


def test_an_event_too_large_blocks_its_key_only() -> None:
    large, other = new_id(), new_id()
    with open_unit_of_work():
        publish(action(user_id=large, name="x" * 1_200_000))
        publish(action(user_id=large))
        publish(action(user_id=other))

    with relaying():
        wait_until(lambda: queue.depth().failed == 1 and queue.depth().pending == 1)
        tell(other)
        wait_until(lambda: queue.depth().pending == 1)

    assert on_the_wire(large, other) == {large: [], other: [1, 2]}
    refused = PendingEvent.objects.get(state="failed")
    assert refused.key == large
    assert "MSG_SIZE_TOO_LARGE" in refused.last_error


def test_a_database_that_goes_away_is_waited_for() -> None:
    key = new_id()

    with relaying():
        tell(key)
        wait_until(queue_is_empty)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
                " AND datname = current_database()"
            )
        tell(key)
        wait_until(queue_is_empty)

    assert first_occurrences(on_the_wire(key)[key]) == [1, 2]


def test_a_relay_whose_session_the_server_has_ended_for_idling_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    key, fair_share = new_id(), Leases._fair_share
    ended: list[int] = []

    def idle_once(relay: Leases) -> int:
        if not ended:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_backend_pid()")
                ended.extend(cursor.fetchone())
                cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 1")
            wait_until(lambda: at_once(partial(is_over, ended[0])) == [True])
        return fair_share(relay)

    monkeypatch.setattr(Leases, "_fair_share", idle_once)
    tell(key)

    with relaying():
        wait_until(queue_is_empty)

    assert ended
    assert on_the_wire(key) == {key: [1]}


def is_over(session: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE pid = %s", [session])
        return not cursor.fetchone()[0]


def test_a_connection_cut_before_the_deletion_repeats_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    remove, cuts = queue.remove, [OperationalError("the connection is lost")]

    def cut_once(*, positions: Sequence[int]) -> int:
        if cuts:
            raise cuts.pop()
        return remove(positions=positions)

    monkeypatch.setattr(queue, "remove", cut_once)
    key = new_id()
    tell(key, key, key)

    with relaying():
        wait_until(queue_is_empty)

    assert cuts == []
    assert on_the_wire(key) == {key: [1, 2, 3]}


def test_a_relay_stopped_while_it_shares_out_shards_holds_up_no_other() -> None:
    key = new_id()

    with relaying():
        wait_until(lambda: len(owners()) == 64)
        with psycopg.connect(**(connection.get_connection_params() | {"cursor_factory": psycopg.Cursor})) as stopped:
            # The server does not end it for idling, as it would in a minute: it is there for as long as we wait.
            stopped.execute("SET idle_in_transaction_session_timeout = 0")
            stopped.execute("SELECT pg_advisory_xact_lock(hashtext('kafka_lease'))")
            seen_alive = Relay.objects.get().expires_at
            wait_until(lambda: Relay.objects.get().expires_at > seen_alive)
            tell(key)
            wait_until(queue_is_empty)

    assert on_the_wire(key) == {key: [1]}
