"""The sender on a real broker, on one that is not there, and on one that comes back."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from threading import Event as Signal
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from prometheus_client import REGISTRY
from pytest_django import Settings

from integrations.analytics import sender
from integrations.analytics.sender import ViewSender
from integrations.embedded.ports import any_free
from integrations.kafka.client import Publisher, Received, ensure_topics, read_back
from integrations.kafka.errors import BrokerError, Refused
from shop.kernel.events import UserAction
from shop.kernel.ids import new_id
from shop.kernel.tracing import Trace, tracing
from shop.kernel.views import Seen, ViewBuffer
from tests.integrations.kafka.conftest import DEADLINE_SECONDS, wait_until
from tests.shop.kernel.outbox.factories import action

TOPIC = UserAction.topic
NAME = "Lamp Looked At"


@contextmanager
def sending(buffer: ViewBuffer) -> Iterator[ViewSender]:
    running = ViewSender(buffer)
    running.start()
    try:
        yield running
    finally:
        running.stop()
        running.join(DEADLINE_SECONDS)
        assert not running.is_alive()


def look(buffer: ViewBuffer, user_id: UUID, *, times: int = 1) -> None:
    for number in range(times):
        with tracing(Trace(f"request-{number}", traceparent=f"00-{'a' * 32}-{'b' * 16}-01")):
            assert buffer.record(action(user_id=user_id, name=NAME, n=number))


def heard(user_id: UUID) -> list[Received]:
    return [record for record in read_back(topics=[TOPIC]) if record.key.decode() == str(user_id)]


def dropped() -> float:
    return REGISTRY.get_sample_value("shop_views_dropped_total", {"name": NAME}) or 0.0


@pytest.fixture(autouse=True)
def _topic(monkeypatch: pytest.MonkeyPatch) -> None:
    ensure_topics([TOPIC])
    # On a busy machine a broker that is there may take longer than a view is worth.
    monkeypatch.setattr(sender, "PATIENCE_SECONDS", DEADLINE_SECONDS)


class NotingPublisher(Publisher):
    """Knows whether it has been given anything."""

    def __init__(self) -> None:
        super().__init__()
        self.is_fresh = True

    def send(self, **record: Any) -> None:
        self.is_fresh = False
        super().send(**record)


@pytest.fixture
def buffer() -> ViewBuffer:
    """A buffer of its own."""
    return ViewBuffer(size=5_000)


def test_views_reach_the_topic_once_with_their_request(buffer: ViewBuffer) -> None:
    user_id, before = new_id(), dropped()

    with sending(buffer):
        look(buffer, user_id, times=3)
        wait_until(lambda: len(heard(user_id)) == 3)

    records = heard(user_id)
    assert [UserAction.decode(record.value).properties["n"] for record in records] == [0, 1, 2]
    assert len({record.headers["ce_id"] for record in records}) == 3
    assert records[1].headers["ce_correlationid"] == b"request-1"
    assert records[1].headers["traceparent"] == f"00-{'a' * 32}-{'b' * 16}-01".encode()
    assert records[1].headers["ce_type"] == b"analytics.events.v1"
    assert dropped() == before


def test_more_than_a_batch_arrives_whole(buffer: ViewBuffer) -> None:
    user_id = new_id()

    with sending(buffer):
        look(buffer, user_id, times=1_200)
        wait_until(lambda: len(heard(user_id)) == 1_200)


def test_what_waits_is_sent_before_the_process_ends(buffer: ViewBuffer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "GATHER_SECONDS", 600.0)
    user_id = new_id()

    with sending(buffer):
        look(buffer, user_id)

    assert len(heard(user_id)) == 1


def test_what_waits_is_sent_also_when_the_process_ends_before_the_sender_has_begun(
    buffer: ViewBuffer, monkeypatch: pytest.MonkeyPatch
) -> None:
    has_been_asked = Signal()

    class Late(Publisher):
        """Is ready only when there is nothing left to do but to stop."""

        def __init__(self) -> None:
            assert has_been_asked.wait(DEADLINE_SECONDS)
            super().__init__()

    monkeypatch.setattr(sender, "Publisher", Late)
    monkeypatch.setattr(sender, "GOODBYE_SECONDS", 0.0)
    user_id = new_id()

    with sending(buffer) as running:
        look(buffer, user_id)
        running.stop()
        has_been_asked.set()

    assert len(heard(user_id)) == 1


def test_what_comes_in_just_before_the_process_ends_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    has_found_nothing_left, has_been_asked = Signal(), Signal()

    class Watched(ViewBuffer):
        """Tells when the sender has taken everything, and keeps it there."""

        def take(self, limit: int) -> list[Seen]:
            taken = super().take(limit)
            if not taken:
                has_found_nothing_left.set()
                assert has_been_asked.wait(DEADLINE_SECONDS)
            return taken

    monkeypatch.setattr(sender, "GOODBYE_SECONDS", 0.0)
    user_id, buffer = new_id(), Watched(size=5_000)

    with sending(buffer) as running:
        look(buffer, user_id)
        assert has_found_nothing_left.wait(DEADLINE_SECONDS)
        look(buffer, user_id)
        running.stop()
        has_been_asked.set()

    assert len(heard(user_id)) == 2


def test_a_broker_that_is_away_costs_views_and_no_memory_and_the_next_ones_arrive(
    buffer: ViewBuffer, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "PATIENCE_SECONDS", 0.2)
    # All are kept. Were the newest one a class attribute, CPython 3.11 would hand out the one before, from its cache,
    # while that is being taken down, and the process would die of letting go of it twice.
    made: list[NotingPublisher] = []

    def make() -> NotingPublisher:
        made.append(NotingPublisher())
        return made[-1]

    monkeypatch.setattr(sender, "Publisher", make)
    there, before = settings.KAFKA_BOOTSTRAP_SERVERS, dropped()
    settings.KAFKA_BOOTSTRAP_SERVERS = f"127.0.0.1:{any_free()}"
    lost, saved = new_id(), new_id()

    with sending(buffer):
        look(buffer, lost, times=600)
        # What is dropped is counted before another publisher is made.
        wait_until(lambda: dropped() - before == 600 and made[-1].is_fresh)
        settings.KAFKA_BOOTSTRAP_SERVERS = there
        # The publisher at work was made for the old address; the one after its next failure finds the new one.
        look(buffer, lost)
        wait_until(lambda: dropped() - before == 601 and made[-1].is_fresh)
        monkeypatch.setattr(sender, "PATIENCE_SECONDS", DEADLINE_SECONDS)
        look(buffer, saved)
        wait_until(lambda: heard(saved))

    assert buffer.take(10) == []
    assert heard(lost) == []
    assert dropped() - before == 601


@pytest.mark.parametrize(("error", "publishers"), [(Refused, 1), (BrokerError, 2), (ArithmeticError, 2)])
def test_a_publisher_that_fails_is_replaced_and_one_that_refuses_is_kept(
    buffer: ViewBuffer, monkeypatch: pytest.MonkeyPatch, error: type[Exception], publishers: int
) -> None:
    monkeypatch.setattr(sender, "PATIENCE_SECONDS", 0.05)
    made: list[Publisher] = []
    user_id = new_id()

    class Stumbling(Publisher):
        """Takes nothing the first time it is asked."""

        def __init__(self) -> None:
            super().__init__()
            made.append(self)

        def send(self, **record: object) -> None:
            if not stumbled:
                stumbled.append(error)
                raise error("not this one")
            super().send(**record)  # type: ignore[arg-type]  # as it came

    stumbled: list[type[Exception]] = []
    monkeypatch.setattr(sender, "Publisher", Stumbling)
    with sending(buffer):
        look(buffer, new_id())
        wait_until(lambda: stumbled and not buffer.filled.is_set())
        wait_until(lambda: len(made) == publishers)
        monkeypatch.setattr(sender, "PATIENCE_SECONDS", DEADLINE_SECONDS)
        look(buffer, user_id)
        wait_until(lambda: heard(user_id))

    assert len(made) == publishers


def test_a_sender_is_started_and_says_goodbye_when_the_process_ends(
    buffer: ViewBuffer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A busy machine may take longer than an ending process wants to wait.
    monkeypatch.setattr(sender, "GOODBYE_SECONDS", DEADLINE_SECONDS)
    at_the_end: list[Callable[[], None]] = []
    monkeypatch.setattr(sender, "atexit", SimpleNamespace(register=at_the_end.append))
    user_id = new_id()

    sender.start(buffer)
    look(buffer, user_id)
    [goodbye] = at_the_end
    goodbye()

    assert len(heard(user_id)) == 1


def test_without_a_broker_no_sender_starts(buffer: ViewBuffer, settings: Settings) -> None:
    settings.KAFKA_BOOTSTRAP_SERVERS = ""

    with ExitStack() as stack:
        stack.callback(buffer.take, 10)
        sender.start(buffer)
        look(buffer, new_id())

        assert len(buffer.take(10)) == 1
        assert not buffer.take(10)
