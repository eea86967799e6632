import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from pytest_django.fixtures import Settings
from redis import Redis

from integrations.embedded.ports import any_free
from shop.kernel.ids import new_id
from shop.kernel.outbox import wakeup
from shop.kernel.outbox.wakeup import MOST_OFTEN_SECONDS, Herald, Notices

pytestmark = pytest.mark.django_db


@pytest.fixture
def notices(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Notices]:
    """A listener that has subscribed already, to a Redis that may be slow on a busy machine.

    On a channel of the test's own: the notice of an earlier test may still be on its way.
    """
    patient = Redis.from_url(settings.REDIS_URL, socket_connect_timeout=60, socket_timeout=60)
    monkeypatch.setattr(wakeup, "_redis", lambda: patient)
    channel = f"outbox:{new_id()}"
    monkeypatch.setattr(wakeup, "_channel", lambda: channel)
    listener = Notices()
    subscription: Any = listener._listen()
    assert subscription.parse_response()[0] == b"subscribe"
    yield listener
    listener.close()


def test_a_notice_ends_the_wait(notices: Notices) -> None:
    Herald().wake()

    assert notices.wait(60)


def test_without_a_notice_the_wait_ends_by_itself(notices: Notices) -> None:
    assert not notices.wait(0.02)


def test_many_wake_ups_become_few_notices(notices: Notices) -> None:
    herald = Herald()
    began = time.monotonic()

    with ThreadPoolExecutor(max_workers=4) as requests:
        for _ in range(2_000):
            requests.submit(herald.wake)
    assert notices.wait(60)

    # The notice may be here before its sender has counted it.
    while not herald.sent and time.monotonic() < began + 60:
        time.sleep(0.001)
    assert 1 <= herald.sent <= 2 + (time.monotonic() - began) / MOST_OFTEN_SECONDS


def test_without_redis_nobody_is_disturbed(settings: Settings) -> None:
    settings.REDIS_URL = f"redis://127.0.0.1:{any_free()}/0"
    herald, deaf = Herald(), Notices()

    herald.wake()

    assert not deaf.wait(0.01)
    assert herald.sent == 0


def test_no_address_means_polling(settings: Settings) -> None:
    settings.REDIS_URL = ""
    herald, deaf = Herald(), Notices()

    herald.wake()

    assert not deaf.wait(0.01)
    assert herald.sent == 0
