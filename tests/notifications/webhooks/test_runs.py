"""Runs of the clock: threads wait for systems on real sockets, and a slow one delays nobody."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta

import pytest
from django.core.cache import cache
from django.db import connection
from pytest_django.fixtures import Settings
from redis.exceptions import RedisError
from standardwebhooks import Webhook

from notifications import tasks
from notifications.dto import EndpointView
from notifications.models import WebhookDelivery, WebhookEndpoint
from notifications.services import webhooks
from notifications.services.webhooks import sending
from shop.kernel.clock import utc_now
from tests.notifications.webhooks import factories
from tests.notifications.webhooks.factories import FakeSender, Receiver, delivery, listening
from tests.races import be_patient

PATIENCE_SECONDS = 90.0


@pytest.fixture
def receivers(settings: Settings) -> Iterator[Callable[[], Receiver]]:
    settings.WEBHOOK_LOOPBACK_ALLOWED = True
    sending._sender.cache_clear()
    with ExitStack() as running:
        yield lambda: running.enter_context(listening())


@pytest.fixture
def patient_run(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a run, and a call in it, take longer than a busy machine does."""
    settings.WEBHOOK_TIMEOUT_SECONDS = PATIENCE_SECONDS
    monkeypatch.setattr("notifications.tasks.webhooks._RUN_SECONDS", PATIENCE_SECONDS)


def eventually(look: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def until(receiver: Receiver, count: int) -> None:
    eventually(lambda: len(receiver.received) == count)


def made(receiver: Receiver) -> EndpointView:
    return factories.endpoint(now=utc_now(), url=receiver.url)


@pytest.mark.django_db
def test_a_run_tries_until_it_is_taken(
    receivers: Callable[[], Receiver], settings: Settings, patient_run: None
) -> None:
    settings.WEBHOOK_RETRY_DELAYS_SECONDS = [0, 0, 0]
    receiver = receivers()
    receiver.answer = lambda number: (200 if number > 2 else 500, {}, b"")
    secret = made(receiver).secret
    delivery(now=utc_now())

    tasks.send_webhooks(from_a_newer_release=True)

    assert WebhookDelivery.objects.get().state == "delivered"
    assert len(receiver.received) == 3
    for headers, body in receiver.received:
        assert Webhook(secret or "").verify(body, headers)["type"] == "order.paid"
    assert cache.get("notifications.send_webhooks") is None


@pytest.mark.django_db(transaction=True)
def test_a_system_that_hangs_delays_no_other(receivers: Callable[[], Receiver], patient_run: None) -> None:
    slow, fast = receivers(), receivers()
    slow.hold.clear()
    made(slow), made(fast)
    for _ in range(5):
        delivery(now=utc_now())

    run = threading.Thread(target=_run_and_hang_up)
    run.start()
    try:
        until(fast, 5)
        # Also what is written while one call hangs.
        delivery(now=utc_now())
        until(fast, 6)
        of_the_slow = WebhookDelivery.objects.filter(endpoint__url=slow.url)
        eventually(lambda: bool(slow.received))
        assert len(slow.received) == 1
        assert set(of_the_slow.values_list("state", flat=True)) == {"pending"}
    finally:
        slow.hold.set()
        run.join(PATIENCE_SECONDS)

    assert set(WebhookDelivery.objects.values_list("state", flat=True)) == {"delivered"}
    assert [len(slow.received), len(fast.received)] == [6, 6]


@pytest.mark.django_db(transaction=True)
def test_systems_that_failed_last_get_half_of_the_slots(
    receivers: Callable[[], Receiver], settings: Settings, patient_run: None
) -> None:
    settings.WEBHOOK_CALLS_AT_ONCE = 2
    hanging = [receivers() for _ in range(3)]
    for receiver in hanging:
        receiver.hold.clear()
        made(receiver)
    WebhookEndpoint.objects.update(failures=1)
    fast = receivers()
    made(fast)
    delivery(now=utc_now())

    run = threading.Thread(target=_run_and_hang_up)
    run.start()
    try:
        until(fast, 1)
        for count in range(2, 6):
            delivery(now=utc_now())
            until(fast, count)
        eventually(lambda: any(receiver.received for receiver in hanging))
        assert sum(len(receiver.received) for receiver in hanging) == 1
    finally:
        for receiver in hanging:
            receiver.hold.set()
        run.join(PATIENCE_SECONDS)


@pytest.mark.django_db
def test_a_row_that_fails_in_an_unforeseen_way_does_not_stop_the_others(
    sender: FakeSender, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = factories.endpoint(now=now, url="https://odd.example.com/")
    factories.endpoint(now=now, url="https://good.example.com/")
    delivery(now=now)
    real = webhooks.record

    def record(*, claimed: webhooks.Claimed, outcome: webhooks.Outcome, now: datetime) -> object:
        if claimed.endpoint_id == odd.endpoint_id:
            raise RuntimeError("the database went away")
        return real(claimed=claimed, outcome=outcome, now=now)

    monkeypatch.setattr(webhooks, "record", record)

    tasks.send_webhooks()

    assert dict(WebhookDelivery.objects.values_list("endpoint__url", "state")) == {
        "https://odd.example.com/": "pending",
        "https://good.example.com/": "delivered",
    }


@pytest.mark.django_db
def test_what_a_slow_system_answers_is_kept_though_redis_has_gone(
    receivers: Callable[[], Receiver], monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = receivers()
    slow.hold.clear()
    made(slow)
    delivery(now=utc_now())

    def answer_and_be_away(_key: str) -> None:
        slow.hold.set()
        raise RedisError

    # The time of the run is over once the slow system has been asked.
    monkeypatch.setattr("notifications.tasks.webhooks.monotonic", lambda: 60.0 * len(slow.received))
    monkeypatch.setattr(cache, "delete", answer_and_be_away)

    tasks.send_webhooks()

    assert WebhookDelivery.objects.get().state == "delivered"


@pytest.mark.django_db
def test_one_run_at_a_time(sender: FakeSender, endpoint: EndpointView, now: datetime) -> None:
    delivery(now=now)
    cache.add("notifications.send_webhooks", value=True, timeout=60)

    tasks.send_webhooks()

    assert sender.posted == []


@pytest.mark.django_db
def test_the_clock_forgets_what_is_old(endpoint: EndpointView, sender: FakeSender, settings: Settings) -> None:
    long_ago = utc_now() - timedelta(days=settings.WEBHOOK_BODIES_KEPT_DAYS + 1)
    delivery(now=long_ago)
    WebhookDelivery.objects.update(state="delivered", next_attempt_at=None, settled_at=long_ago)

    tasks.forget_old_webhooks()

    assert WebhookDelivery.objects.get().body == ""


@pytest.mark.django_db(transaction=True)
def test_two_claimers_never_get_the_same_endpoint(sender: FakeSender, now: datetime) -> None:
    for number in range(6):
        factories.endpoint(now=now, url=f"https://merchant.example.com/{number}")
    delivery(now=now)
    together, claimed = threading.Barrier(4), []

    def claim() -> None:
        try:
            be_patient()
            together.wait(PATIENCE_SECONDS)
            claimed.extend(webhooks.claim(failing=False, limit=6, now=now))
        finally:
            connection.close()

    claimers = [threading.Thread(target=claim) for _ in range(4)]
    for claimer in claimers:
        claimer.start()
    for claimer in claimers:
        claimer.join(PATIENCE_SECONDS)

    assert len(claimed) == len({call.endpoint_id for call in claimed}) <= 6
    assert claimed


def _run_and_hang_up() -> None:
    try:
        tasks.send_webhooks()
    finally:
        connection.close()
