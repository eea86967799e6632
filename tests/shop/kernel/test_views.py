"""The view buffer: bounded, honest about what it drops, and nothing a request ever waits for."""

import threading
from collections.abc import Iterator

import pytest
from prometheus_client import REGISTRY
from pytest_django import Settings

from shop.kernel import views
from shop.kernel.ids import new_id
from shop.kernel.tracing import Trace, tracing
from shop.kernel.views import ViewBuffer, record_view
from tests.shop.kernel.outbox.factories import action

NAME = "Lamp Looked At"
started: list[ViewBuffer] = []


def sampled(metric: str) -> float:
    return REGISTRY.get_sample_value(metric, {"name": NAME}) or 0.0


def looked(**properties: int) -> None:
    record_view(action(user_id=new_id(), name=NAME, **properties))


def start_sender(buffer: ViewBuffer) -> None:
    """Be the sender: note that one was asked for."""
    started.append(buffer)


@pytest.fixture(autouse=True)
def buffer(monkeypatch: pytest.MonkeyPatch) -> Iterator[ViewBuffer]:
    """A small buffer in a process that has recorded nothing yet."""
    small = ViewBuffer(size=10)
    monkeypatch.setattr(views, "buffer", small)
    monkeypatch.setattr(views, "_sender_pid", 0)
    started.clear()
    yield small
    started.clear()


def test_views_come_out_in_their_order_with_their_requests(buffer: ViewBuffer) -> None:
    for number in range(3):
        with tracing(Trace(f"request-{number}")):
            looked(n=number)

    taken = buffer.take(2)
    assert [(view.properties["n"], trace.correlation_id) for view, trace in taken] == [
        (0, "request-0"),
        (1, "request-1"),
    ]
    assert [view.properties["n"] for view, _ in buffer.take(100)] == [2]
    assert buffer.take(100) == []


def test_a_full_buffer_drops_what_comes_and_counts_it(buffer: ViewBuffer) -> None:
    recorded, dropped = sampled("shop_views_recorded_total"), sampled("shop_views_dropped_total")

    for number in range(14):
        looked(n=number)

    assert [view.properties["n"] for view, _ in buffer.take(100)] == list(range(10))
    assert sampled("shop_views_recorded_total") - recorded == 10
    assert sampled("shop_views_dropped_total") - dropped == 4


def test_there_is_room_again_after_a_flood(buffer: ViewBuffer) -> None:
    for _ in range(20):
        looked()
    buffer.take(100)
    looked(n=99)

    assert [view.properties["n"] for view, _ in buffer.take(100)] == [99]


def test_no_thread_waits_and_no_view_is_unaccounted_for(monkeypatch: pytest.MonkeyPatch) -> None:
    # Nobody takes anything out: the broker is away for good.
    crowded = ViewBuffer(size=500)
    monkeypatch.setattr(views, "buffer", crowded)
    recorded, dropped = sampled("shop_views_recorded_total"), sampled("shop_views_dropped_total")
    together = threading.Barrier(8)

    def look() -> None:
        together.wait(90)
        for _ in range(500):
            looked()

    threads = [threading.Thread(target=look, daemon=True) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(90)

    assert not any(thread.is_alive() for thread in threads)
    kept = len(crowded.take(10_000))
    # Threads that append at the same instant may exceed the size by one each.
    assert 500 <= kept < 500 + 8
    assert sampled("shop_views_recorded_total") - recorded == kept
    assert sampled("shop_views_dropped_total") - dropped == 8 * 500 - kept


def test_the_sender_is_started_once_a_process(settings: Settings, buffer: ViewBuffer) -> None:
    settings.VIEW_SENDER = f"{__name__}.start_sender"

    for _ in range(3):
        looked()

    assert started == [buffer]


def test_a_forked_process_starts_a_sender_of_its_own(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.VIEW_SENDER = f"{__name__}.start_sender"
    looked()
    monkeypatch.setattr(views, "getpid", lambda: 0xF02C)

    looked()
    looked()

    assert len(started) == 2


def test_threads_that_look_first_start_one_sender_together(settings: Settings) -> None:
    settings.VIEW_SENDER = f"{__name__}.start_sender"
    together = threading.Barrier(8)

    def look() -> None:
        together.wait(90)
        looked()

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(90)

    assert len(started) == 1


def test_without_a_sender_views_wait_in_the_buffer(settings: Settings, buffer: ViewBuffer) -> None:
    settings.VIEW_SENDER = ""

    looked()

    assert started == []
    assert len(buffer.take(10)) == 1
