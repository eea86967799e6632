"""A broker that does not answer is asked once in a while, not once a request."""

from typing import Any

import pytest
from kombu.exceptions import OperationalError
from pytest_django import DjangoCaptureOnCommitCallbacks

from shop.kernel import tasks

pytestmark = pytest.mark.django_db


def test_a_broker_that_is_away_is_left_alone_for_a_while(
    monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    now, away = 100.0, True
    tried: list[str] = []

    def send_task(task: str, **_: Any) -> None:
        tried.append(task)
        if away:
            raise OperationalError

    monkeypatch.setattr("shop.kernel.tasks.time.monotonic", lambda: now)
    monkeypatch.setattr("shop.kernel.tasks.current_app.send_task", send_task)

    with django_capture_on_commit_callbacks(execute=True):
        tasks.wake("some.task", row_id="1")
        tasks.wake("some.task", row_id="2")
        tasks.wake_for_all("some.batch")
    now += tasks.AWAY_SECONDS - 0.1
    with django_capture_on_commit_callbacks(execute=True):
        tasks.wake_for_all("some.batch")
    # Each try may last as long as the broker's time-out, and it is a request that waits.
    assert tried == ["some.task"]

    now, away = now + 0.2, False
    with django_capture_on_commit_callbacks(execute=True):
        tasks.wake("some.task", row_id="3")
        tasks.wake_for_all("some.batch")

    assert tried == ["some.task", "some.task", "some.batch"]
