"""Whatever deletes what is old asks first whether the clock can be believed."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from pytest_django import Settings

from payments.models import Callback
from settings import celery_app, wiring
from shop.kernel.auth import services
from shop.kernel.auth.models import RefreshFamily
from shop.kernel.clock import utc_now
from shop.kernel.clockwatch.models import Watch

pytestmark = pytest.mark.django_db

LONG_AGO = timedelta(days=200)


@pytest.fixture(autouse=True)
def _every_task_is_known() -> None:
    celery_app.loader.import_default_modules()


def a_session() -> None:
    services.open_guest(now=utc_now() - LONG_AGO)


def a_callback() -> None:
    then = utc_now() - LONG_AGO
    Callback.objects.create(gateway="g", event_id="e", type="t", body=b"said", headers={}, received_at=then)


@pytest.mark.parametrize(
    ("task", "old", "left"),
    [
        ("shop.kernel.auth.tasks.forget_ended_sessions", a_session, RefreshFamily.objects.count),
        ("payments.tasks.forget_callback_bodies", a_callback, Callback.objects.exclude(body=b"").count),
    ],
)
@pytest.mark.parametrize("believed", [True, False])
def test_nothing_is_forgotten_by_a_clock_that_is_not_believed(
    task: str, old: Callable[[], None], left: Callable[[], int], *, believed: bool, settings: Settings
) -> None:
    settings.CLOCK_LEAP_SECONDS = 120
    old()
    if not believed:
        Watch.objects.create(what="orders", state=Watch.State.DISAGREEING, seen_at=utc_now(), boot_id="", up_seconds=1)

    celery_app.tasks[task]()

    assert left() == (0 if believed else 1)


def test_every_task_that_forgets_asks() -> None:
    forgetting = [name for name in wiring.CLOCK if "forget" in name or "keep" in name]
    asking = [name for name in forgetting if "may_forget" in celery_app.tasks[name].run.__code__.co_names]

    assert len(forgetting) > 4
    assert asking == forgetting
