"""Who is asked to stop does, wherever in its waiting it is met, and whether or not a broker answers."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition
from django.core.management import call_command
from pytest_django.fixtures import Settings

from integrations.kafka import consumer as consumer_module
from integrations.kafka.client import Subscriber
from integrations.kafka.client.subscriber import LEAVE_SECONDS
from integrations.kafka.groups import Group
from integrations.kafka.management.commands import relay_outbox
from integrations.kafka.models import Inbox
from shop.kernel.ids import new_id
from tests.integrations.kafka.conftest import (
    DEADLINE_SECONDS,
    consuming,
    in_thread,
    inbox_locked,
    relaying,
    tell,
    wait_until,
)
from tests.integrations.kafka.effects import effects
from tests.integrations.kafka.test_rebalance import somebody_waits_for_a_lock
from tests.integrations.kafka.test_relay import process_environment
from tests.races import at_once

PATIENCE_MS = str(int(DEADLINE_SECONDS * 1_000))
WAITER = """
import os, signal, threading
from integrations.kafka.stopping import on_stop

lock, heard = threading.Lock(), threading.Event()

def stop():
    with lock:
        heard.set()

on_stop(stop)
with lock:
    os.kill(os.getpid(), signal.SIGTERM)
heard.wait()
"""


def test_a_signal_inside_the_lock_that_stopping_takes_hangs_nobody() -> None:
    subprocess.run([sys.executable, "-c", WAITER], timeout=DEADLINE_SECONDS, check=True)


@pytest.mark.django_db(transaction=True)
def test_a_signal_that_is_taken_in_only_when_the_relay_is_at_work_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    stops: list[Callable[[], None]] = []
    is_ready = threading.Event()

    def stop() -> None:
        stops[0]()

    monkeypatch.setattr(relay_outbox, "on_stop", stops.append)
    monkeypatch.setattr(relay_outbox, "serve_metrics", lambda *_: None)
    monkeypatch.setattr(relay_outbox, "announce_ready", is_ready.set)

    with in_thread(partial(call_command, "relay_outbox"), stop):
        assert is_ready.wait(DEADLINE_SECONDS)


@pytest.fixture
def consumers(broker_pid: int, tmp_path: Path, settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    """One group in a process of its own, on that broker."""
    process = subprocess.Popen(
        [sys.executable, "manage.py", "consume_events", "--group", "analytics"],
        env=process_environment(tmp_path)
        | {"KAFKA_BOOTSTRAP_SERVERS": settings.KAFKA_BOOTSTRAP_SERVERS}
        # It waits as long as the test holds it up, and sets nothing aside meanwhile.
        | {"DATABASE_LOCK_TIMEOUT_MS": PATIENCE_MS, "DATABASE_STATEMENT_TIMEOUT_MS": PATIENCE_MS},
    )
    yield process
    process.kill()
    process.wait()


@pytest.mark.django_db(transaction=True)
def test_a_consumer_whose_commit_no_broker_answers_stops_all_the_same(
    broker_pid: int, consumers: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    wait_until((tmp_path / "ready").exists)
    with relaying():
        with inbox_locked():
            at_once(partial(tell, new_id()))
            # On another connection: within a transaction, PostgreSQL keeps telling what it told first.
            wait_until(lambda: any(at_once(somebody_waits_for_a_lock)))
            os.kill(broker_pid, signal.SIGSTOP)
        wait_until(Inbox.objects.exists)

        consumers.terminate()

        assert consumers.wait(LEAVE_SECONDS + DEADLINE_SECONDS) == 0
        os.kill(broker_pid, signal.SIGCONT)


@pytest.mark.django_db(transaction=True)
def test_a_consumer_whose_broker_is_silent_for_longer_than_a_session_stops_all_the_same(
    listening: Group, broker_pid: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost, key = threading.Event(), new_id()

    class NotingSubscriber(Subscriber):
        def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
            lost.set()
            super()._on_revoke(consumer, partitions)

    monkeypatch.setattr(consumer_module, "Subscriber", NotingSubscriber)
    with relaying(), consuming(listening):
        tell(key)
        wait_until(lambda: effects(key))

        os.kill(broker_pid, signal.SIGSTOP)
        wait_until(lost.is_set)
