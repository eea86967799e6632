"""Deadlines survive a clock that leaps, a machine that slept, and two clocks that disagree."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest
from django.db import connection
from prometheus_client import REGISTRY
from pytest_django import Settings

from integrations.kafka import tasks as events
from shop.kernel.clockwatch import services
from shop.kernel.clockwatch.models import Watch
from shop.kernel.clockwatch.uptime import Uptime, uptime
from shop.kernel.idempotency import tasks as keys

pytestmark = pytest.mark.django_db

TICK = 10
WINDOW = 1_800
SETTLING = 120
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@dataclass
class World:
    """A machine, its clock, and the clock of the database; real time passes for all of them."""

    now: datetime = NOON
    database_now: datetime = NOON
    up_seconds: float = 5_000.0
    boot_id: str = "first boot"

    def passes(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.database_now += timedelta(seconds=seconds)
        self.up_seconds += seconds

    def set_clocks(self, seconds: float) -> None:
        """Set all clocks of the one machine: the database runs on it."""
        self.now += timedelta(seconds=seconds)
        self.database_now += timedelta(seconds=seconds)

    def tick(self, *, after: float = TICK) -> bool:
        self.passes(after)
        return self.asked()

    def asked(self) -> bool:
        return services.may_enforce(
            what="orders", window_seconds=WINDOW, now=self.now, uptime=Uptime(self.boot_id, self.up_seconds)
        )


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> World:
    settings.CLOCK_LEAP_SECONDS = 120
    settings.CLOCK_SKEW_SECONDS = 30
    settings.CLOCK_SETTLING_SECONDS = SETTLING
    world = World()
    monkeypatch.setattr(services, "_database_now", lambda: world.database_now)
    assert world.asked()
    return world


def until_steady(world: World) -> float:
    """Tick until deadlines are enforced again and return how many seconds that took."""
    began = world.up_seconds
    while not world.tick():
        assert world.up_seconds < began + 100_000
    return world.up_seconds - began


def test_ordinary_ticks_never_suspend(world: World) -> None:
    assert [world.tick(after=seconds) for seconds in (1, 10, 60, 119, 0, 10)] == [True] * 6


def test_the_very_first_reading_is_believed(world: World) -> None:
    Watch.objects.all().delete()

    assert world.tick()


@pytest.mark.parametrize("leap", [3_600, 86_400, 31_536_000])
def test_a_clock_that_leaps_ahead_ends_nothing_before_everybody_had_a_whole_window(world: World, leap: int) -> None:
    world.set_clocks(leap)

    assert not world.tick()
    assert WINDOW - TICK <= until_steady(world) <= WINDOW


def test_a_clock_that_is_set_back_suspends_as_well(world: World) -> None:
    world.set_clocks(-3_600)

    assert not world.tick()
    assert WINDOW - TICK <= until_steady(world) <= WINDOW


def test_a_leap_that_is_mended_does_not_suspend_until_the_wrong_time(world: World) -> None:
    world.set_clocks(10 * 365 * 86_400)
    assert not world.tick()
    world.set_clocks(-10 * 365 * 86_400)
    assert not world.tick()

    assert WINDOW - TICK <= until_steady(world) <= WINDOW


def test_a_downtime_did_pass_and_takes_a_short_settling(world: World) -> None:
    assert not world.tick(after=7_200)

    assert SETTLING - TICK <= until_steady(world) <= SETTLING


def test_a_shortened_window_shortens_the_settling(world: World) -> None:
    world.passes(7_200)

    def asked() -> bool:
        return services.may_enforce(
            what="orders", window_seconds=42, now=world.now, uptime=Uptime(world.boot_id, world.up_seconds)
        )

    assert not asked()
    world.passes(7)
    assert asked()


def test_after_another_boot_nobody_can_tell_and_the_whole_window_is_given(world: World) -> None:
    world.passes(7_200)
    world.boot_id, world.up_seconds = "second boot", 30.0

    assert not world.asked()
    assert WINDOW - TICK <= until_steady(world) <= WINDOW


def test_where_no_kernel_tells_a_boot_id_uptimes_prove_nothing(world: World) -> None:
    Watch.objects.update(boot_id="")
    world.boot_id = ""

    assert not world.tick(after=7_200)
    assert until_steady(world) > SETTLING


def test_a_clock_that_contradicts_the_database_ends_nothing_until_they_agree(world: World) -> None:
    world.now += timedelta(hours=1)

    assert [world.tick() for _ in range(20)] == [False] * 20
    world.now -= timedelta(hours=1)
    # Two hundred seconds without a believable reading: they did pass, and count as a downtime.
    assert not world.tick()
    assert until_steady(world) <= SETTLING


def test_a_database_whose_clock_is_wrong_counts_as_well(world: World) -> None:
    world.database_now -= timedelta(hours=1)

    assert not world.tick()


def test_a_short_disagreement_costs_nothing_more_than_its_own_time(world: World) -> None:
    world.now += timedelta(minutes=5)
    assert not world.tick()
    world.now -= timedelta(minutes=5)

    assert world.tick()


def test_two_machines_a_little_apart_take_turns_without_suspending(world: World) -> None:
    other = replace(world, boot_id="other machine", up_seconds=77.0, now=world.now - timedelta(seconds=20))

    enforced = []
    for _ in range(20):
        other.passes(TICK)
        enforced += [world.tick(), other.asked()]

    assert enforced == [True] * 40


def test_two_clocks_an_hour_apart_never_end_anything(world: World) -> None:
    other = replace(world, boot_id="other machine", now=world.now + timedelta(hours=1))

    enforced = []
    for _ in range(50):
        other.passes(TICK)
        enforced += [world.tick(), other.asked()]

    # The database agrees with one of them: the other one is not believed and leaves no trace.
    assert enforced == [True, False] * 50


def test_a_second_leap_begins_the_window_anew(world: World) -> None:
    world.set_clocks(3_600)
    world.tick()
    world.tick(after=100)
    world.set_clocks(3_600)
    assert not world.tick()

    assert WINDOW - TICK <= until_steady(world) <= WINDOW


def test_a_downtime_within_the_window_after_a_leap_does_not_shorten_it(world: World) -> None:
    world.set_clocks(3_600)
    world.tick()
    began = world.up_seconds

    assert not world.tick(after=600)
    until_steady(world)

    assert world.up_seconds - began >= WINDOW - TICK


def logged(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    """Return what the watch has logged; a logger that another test has used first can no longer be listened to."""
    ours = [record for record in caplog.records if record.name == services.__name__]
    return [(cast("dict[str, str]", record.msg)["event"], record.levelname) for record in ours]


def test_a_leap_is_an_error_once_and_its_end_is_told(world: World, caplog: pytest.LogCaptureFixture) -> None:
    labels = {"what": "orders", "why": "leap"}
    before = REGISTRY.get_sample_value("shop_clock_doubts_total", labels) or 0
    world.set_clocks(3_600)

    world.tick()
    assert REGISTRY.get_sample_value("shop_clock_suspended", {"what": "orders"}) == 1
    until_steady(world)

    assert logged(caplog) == [("clock.leap", "ERROR"), ("clock.steady", "INFO")]
    assert REGISTRY.get_sample_value("shop_clock_doubts_total", labels) == before + 1
    assert REGISTRY.get_sample_value("shop_clock_suspended", {"what": "orders"}) == 0


def test_a_disagreement_is_told_once_however_often_the_clock_ticks(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.now += timedelta(hours=1)

    for _ in range(5):
        world.tick()

    assert logged(caplog) == [("clock.disagreeing", "ERROR")]


def test_every_clock_is_believed_where_the_watch_is_switched_off(world: World, settings: Settings) -> None:
    settings.CLOCK_LEAP_SECONDS = 0
    world.now += timedelta(days=1)

    assert world.tick()


def may_forget(world: World) -> bool:
    return services.may_forget(now=world.now, uptime=Uptime(world.boot_id, world.up_seconds))


def test_what_is_old_is_forgotten_while_the_clock_is_steady(world: World) -> None:
    assert world.tick()

    assert may_forget(world)


def test_a_clock_a_year_ahead_forgets_nothing_though_no_deadline_was_looked_at_since(world: World) -> None:
    world.set_clocks(31_536_000)

    assert not may_forget(world)
    world.tick()
    assert not may_forget(world)
    until_steady(world)
    assert may_forget(world)


def test_a_clock_that_contradicts_the_database_forgets_nothing(world: World) -> None:
    world.now += timedelta(days=400)

    assert not may_forget(world)


def test_the_event_log_and_the_keys_outlive_a_leap(
    world: World, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    settings.IDEMPOTENCY_KEPT_HOURS = 0
    kept: list[str] = []
    for module in (keys, events):
        monkeypatch.setattr(module, "utc_now", lambda: world.now)
        monkeypatch.setattr(module, "uptime", lambda: Uptime(world.boot_id, world.up_seconds))
    monkeypatch.setattr("shop.kernel.idempotency.services.forget", lambda **_: kept.append("keys forgotten"))
    monkeypatch.setattr(events, "keep_partitions", lambda **_: kept.append("partitions dropped"))
    world.set_clocks(31_536_000)

    keys.forget_old_keys()
    events.keep_event_log()
    assert kept == []

    world.tick()
    until_steady(world)
    keys.forget_old_keys()
    events.keep_event_log()
    assert kept == ["keys forgotten", "partitions dropped"]


def test_the_database_is_asked_for_its_own_time() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT now()")
        (begun_at,) = cursor.fetchone()

    assert services._database_now() >= begun_at


def test_uptime_goes_on_and_names_the_boot() -> None:
    first, second = uptime(), uptime()

    assert first.boot_id == second.boot_id != ""
    assert 0 < first.seconds <= second.seconds
