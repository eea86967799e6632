"""Relays and consumers to start, a listening consumer, and a way to wait."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import pytest
from django.db import connection, transaction
from pytest_django.fixtures import Settings

from integrations.embedded.kafka import KafkaBroker
from integrations.kafka import leases
from integrations.kafka import relay as relay_module
from integrations.kafka.consumer import GroupConsumer
from integrations.kafka.groups import Group, group
from integrations.kafka.relay import Relay
from integrations.kafka.topics import ensure_topics
from shop.kernel.ids import new_id
from shop.kernel.outbox.models import LoggedEvent
from shop.kernel.outbox.services import publish
from shop.kernel.transactions import open_unit_of_work
from tests.integrations.kafka import effects
from tests.services import RUN_HAS_EMBEDDED_KAFKA
from tests.shop.kernel.outbox.factories import action

# Longer than a busy machine takes: nobody waits that long for what comes.
DEADLINE_SECONDS = 120.0


def wait_until(condition: Callable[[], object], *, seconds: float = DEADLINE_SECONDS) -> None:
    """Return once the condition holds; fail when it does not within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def tell(*keys: UUID, start: int = 1) -> list[UUID]:
    """Tell one numbered event for each key, in one unit, and return the events' ids in that order."""
    before = set(LoggedEvent.objects.values_list("id", flat=True))
    with open_unit_of_work():
        for n, key in enumerate(keys, start):
            publish(action(user_id=key, n=n))
    return list(LoggedEvent.objects.exclude(id__in=before).order_by("id").values_list("id", flat=True))


@contextmanager
def in_thread(work: Callable[[], object], stop: Callable[[], object]) -> Iterator[None]:
    """Run `work` beside the test; fail the test when it crashes."""
    crashes: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001  shown by the assertion below
            crashes.append(error)
        finally:
            connection.close()

    # One that never ends fails its test, and not the whole run.
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop()
        thread.join(DEADLINE_SECONDS)
    assert not thread.is_alive()
    assert not crashes


@contextmanager
def relaying(*, batch: int = 1_000, stop: threading.Event | None = None) -> Iterator[Relay]:
    """Run a relay in a thread, until it is asked to stop or the work here is done."""
    stop = stop or threading.Event()
    relay = Relay(stop=stop, batch=batch)
    with in_thread(relay.run, stop.set):
        yield relay


@contextmanager
def consuming(group: Group) -> Iterator[GroupConsumer]:
    """Run a member of a group in a thread."""
    stop = threading.Event()
    consumer = GroupConsumer(group=group, stop=stop)
    with in_thread(consumer.run, stop.set):
        yield consumer


@contextmanager
def inbox_locked() -> Iterator[None]:
    """Let nobody at the inbox while the work here lasts, however long that is and however long the lock takes."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('lock_timeout', '90s', true), set_config('statement_timeout', '90s', true),"
            " set_config('idle_in_transaction_session_timeout', '0', true)"
        )
        cursor.execute("LOCK TABLE kafka_inbox")
        yield


@pytest.fixture(scope="session", autouse=True)
def _topics() -> None:
    """A real broker has no topic that nobody has made."""
    assert set(ensure_topics().values()) <= {"there", "created"}


@pytest.fixture
def long_lived_relays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody take a relay for dead, and none leave something under way, however long a busy machine takes."""
    monkeypatch.setattr(leases, "ALIVE_SECONDS", 600)
    monkeypatch.setattr(relay_module, "GOODBYE_SECONDS", DEADLINE_SECONDS)


@pytest.fixture
def listening(settings: Settings, db: None) -> Iterator[Group]:
    """A consumer group nobody has used before, which notes every user action."""
    if RUN_HAS_EMBEDDED_KAFKA in os.environ:
        # The embedded broker waits this long, less a second, for the members of a group whenever one comes or goes.
        settings.KAFKA_SESSION_TIMEOUT_MS = 1_500
    name = f"noting-{new_id()}"
    settings.CONSUMERS = {name: {"analytics.events.v1": "tests.integrations.kafka.effects.note"}}
    with connection.cursor() as cursor:
        cursor.execute(effects.TABLE)
    effects.poisoned.clear()
    effects.poisoned_at_the_end.clear()
    yield group(name)
    effects.poisoned.clear()
    effects.poisoned_at_the_end.clear()
    group.cache_clear()
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE test_effect")


@pytest.fixture
def broker_pid(tmp_path: Path, settings: Settings) -> Iterator[int]:
    """A broker of the test's own, to be stopped and continued."""
    broker = KafkaBroker(state_dir=tmp_path)
    broker.start()
    assert broker.child is not None
    assert broker.child.pid is not None
    settings.KAFKA_BOOTSTRAP_SERVERS = broker.bootstrap_servers
    yield broker.child.pid
    os.kill(broker.child.pid, signal.SIGCONT)
    broker.stop()
