"""Waking tasks: after the commit, never at the caller's cost, and once for work that is done in batches."""

from typing import Any

import pytest
from kombu.exceptions import OperationalError
from pytest_django import DjangoCaptureOnCommitCallbacks

from shop.kernel import tasks

pytestmark = pytest.mark.django_db


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    tasks._begin_at.clear()
    found: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(
        "shop.kernel.tasks.current_app.send_task", lambda task, **options: found.append((task, options))
    )
    return found


def test_a_batch_of_one_moment_is_woken_once_and_a_later_one_again(
    sent: list[tuple[str, dict[str, Any]]],
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    now = 100.0
    monkeypatch.setattr("shop.kernel.tasks.time.monotonic", lambda: now)

    with django_capture_on_commit_callbacks(execute=True):
        tasks.wake_for_all("some.batch")
        tasks.wake_for_all("some.batch")
        tasks.wake_for_all("another.batch")
        assert sent == []

    assert sent == [
        ("some.batch", {"countdown": tasks.COMPANY_SECONDS, "retry": False}),
        ("another.batch", {"countdown": tasks.COMPANY_SECONDS, "retry": False}),
    ]

    # What commits when the first batch may have begun already needs a second one.
    now += tasks.COMPANY_SECONDS
    with django_capture_on_commit_callbacks(execute=True):
        tasks.wake_for_all("some.batch")

    assert [task for task, _ in sent] == ["some.batch", "another.batch", "some.batch"]


def test_a_broker_that_is_away_costs_nothing_and_the_next_commit_tries_again(
    sent: list[tuple[str, dict[str, Any]]],
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OperationalError

    with monkeypatch.context() as away:
        away.setattr("shop.kernel.tasks.current_app.send_task", refuse)
        with django_capture_on_commit_callbacks(execute=True):
            tasks.wake("some.task", row_id="1")
            tasks.wake_for_all("some.batch")

    with django_capture_on_commit_callbacks(execute=True):
        tasks.wake_for_all("some.batch")

    assert [task for task, _ in sent] == ["some.batch"]
