"""Waking a task: after the commit, with the request it belongs to, and never at the request's cost."""

import json
import socket
from base64 import b64decode
from collections.abc import Iterator
from contextlib import ExitStack, closing
from time import monotonic
from typing import Any

import pytest
import redis
from django.conf import settings
from django.db import transaction
from kombu import Connection

from integrations.embedded.ports import any_free
from settings.celery import app
from shop.kernel import tasks
from shop.kernel.tasks import wake, wake_for_all, wake_ups_heard_by
from shop.kernel.tracing import Trace, tracing

pytestmark = pytest.mark.django_db(transaction=True)
TASK = "shop.kernel.auth.tasks.forget_ended_sessions"


def sent() -> list[tuple[dict[str, object], dict[str, object]]]:
    """Take headers and arguments of every message out of the queue."""
    found = []
    with redis.Redis.from_url(settings.REDIS_URL, socket_timeout=60) as broker:
        while message := broker.rpop("celery"):
            read = json.loads(message)
            found.append((read["headers"], json.loads(b64decode(read["body"]))[1]))
    return found


@pytest.fixture(autouse=True)
def _empty_queue(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(tasks, "_away_until", 0.0)
    # Longer than a busy machine takes between two calls of a test.
    monkeypatch.setattr(tasks, "AWAY_SECONDS", 600.0)
    sent()
    yield
    sent()


def test_a_task_is_sent_after_the_commit_with_its_request() -> None:
    with tracing(Trace("request-1", causation_id="event-1")):
        with transaction.atomic():
            wake(TASK, order_id="42", again=True)
            before = sent()
        after = sent()

    assert before == []
    [(headers, arguments)] = after
    assert headers["task"] == TASK
    assert (headers["shop_correlation_id"], headers["shop_causation_id"]) == ("request-1", "event-1")
    assert arguments == {"order_id": "42", "again": True}


def test_a_transaction_that_fails_wakes_nobody() -> None:
    @transaction.atomic
    def wake_and_fail() -> None:
        wake(TASK)
        raise LookupError

    with pytest.raises(LookupError):
        wake_and_fail()

    assert sent() == []


def test_a_simulation_hears_of_both_kinds_of_wake_ups_instead_of_the_broker() -> None:
    heard = []

    with wake_ups_heard_by(lambda task, primitives: heard.append((task, dict(primitives)))), transaction.atomic():
        wake(TASK, order_id="42")
        wake_for_all(TASK)
        wake_for_all(TASK)

    assert heard == [(TASK, {"order_id": "42"}), (TASK, {}), (TASK, {})]
    assert sent() == []


def woken(monkeypatch: pytest.MonkeyPatch, *, broker: str) -> tuple[int, float]:
    """Wake the task by way of a broker; return how often that was called, and how long it took."""
    options = app.conf.broker_transport_options
    called: list[redis.Connection] = []
    call: Any = redis.Connection._connect

    def calling(one: redis.Connection) -> Any:
        called.append(one)
        return call(one)

    monkeypatch.setattr(redis.Connection, "_connect", calling)
    monkeypatch.setattr(app, "connection_for_write", lambda *_, **__: Connection(broker, transport_options=options))
    monkeypatch.setattr(app.amqp, "_producer_pool", None)
    began = monotonic()
    with transaction.atomic():
        wake(TASK)
    monkeypatch.setattr(redis.Connection, "_connect", call)
    return len(called), monotonic() - began


def complaints(caplog: pytest.LogCaptureFixture) -> int:
    return sum("task.not_woken" in str(record.msg) for record in caplog.records)


def test_redis_away_costs_no_time_and_one_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    away = f"redis://127.0.0.1:{any_free()}/0"

    # Two more tries, with pauses between them, would take six seconds.
    assert woken(monkeypatch, broker=away)[0] == 1
    for _ in range(3):
        assert woken(monkeypatch, broker=away)[0] == 0

    assert complaints(caplog) == 1


def test_redis_that_says_nothing_is_waited_for_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as silent:
        port = silent.getsockname()[1]
        # The queue of the one who never accepts is full: the next one hears nothing at all.
        with ExitStack() as stack:
            for _ in range(2):
                stack.enter_context(closing(started_connecting(port)))
            times, seconds = woken(monkeypatch, broker=f"redis://127.0.0.1:{port}/0")
            assert times > 0
            # Without a time-out of ours the kernel would go on trying for two minutes.
            assert 0.5 < seconds < 60
            assert woken(monkeypatch, broker=f"redis://127.0.0.1:{port}/0")[0] == 0

    assert complaints(caplog) == 1


def test_redis_that_is_back_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "AWAY_SECONDS", 0.0)
    woken(monkeypatch, broker=f"redis://127.0.0.1:{any_free()}/0")

    woken(monkeypatch, broker=settings.REDIS_URL)

    assert [headers["task"] for headers, _ in sent()] == [TASK]


def started_connecting(port: int) -> socket.socket:
    connecting = socket.socket()
    connecting.setblocking(False)
    connecting.connect_ex(("127.0.0.1", port))
    return connecting
