"""The clock leaps, stands still or has a double: nobody's order ends because of it."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
from pytest_django import Settings

from orders.dto import OrderView
from orders.models import Order
from payments import services, tasks
from payments.dto import Settlement
from payments.models import Attempt, Payable
from shop.kernel.auth.dto import Caller
from shop.kernel.clockwatch import services as clockwatch
from shop.kernel.clockwatch.uptime import Uptime
from tests.orders.factories import again, placed
from tests.payments.factories import received, started, told
from tests.payments.fakes import FakeGateway
from tests.races import tried_at_once

pytestmark = pytest.mark.django_db

WINDOW_SECONDS = 1_800


@dataclass
class Machine:
    """One machine with shop and database: its clock can be set, the time that passes cannot."""

    now: datetime
    up_seconds: float = 1_000.0
    boot_id: str = field(default="boot")

    def sets_its_clock(self, **by: float) -> None:
        self.now += timedelta(**by)

    def lives(self, *, seconds: float, tick: float = 10.0) -> None:
        """Let time pass, with every tick of the clock on the way."""
        until = self.up_seconds + seconds
        while self.up_seconds < until:
            self.now += timedelta(seconds=tick)
            self.up_seconds += tick
            tasks.settle_callbacks()
            tasks.poll_attempts()
            tasks.expire_orders()


@pytest.fixture
def machine(now: datetime, monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Machine:
    settings.PAYMENT_WINDOW_SECONDS = WINDOW_SECONDS
    settings.CLOCK_LEAP_SECONDS = 120
    machine = Machine(now)
    monkeypatch.setattr(clockwatch, "_database_now", lambda: machine.now)
    monkeypatch.setattr(tasks, "uptime", lambda: Uptime(machine.boot_id, machine.up_seconds))
    monkeypatch.setattr(tasks, "utc_now", lambda: machine.now)
    return machine


def statuses() -> list[str]:
    return sorted(Order.objects.values_list("status", flat=True))


def test_the_clock_jumps_an_hour_and_nothing_expires_before_its_shopper_had_the_whole_window(
    shopper: Caller, gateway: FakeGateway, machine: Machine
) -> None:
    orders = [placed(caller=shopper, now=machine.now) for _ in range(5)]
    for order in orders:
        started(shopper, order, machine.now)
    machine.lives(seconds=60)

    machine.sets_its_clock(hours=1)
    machine.lives(seconds=WINDOW_SECONDS - 120)

    assert statuses() == ["pending_payment"] * 5
    # Those who pay meanwhile have paid.
    session_id = next(iter(gateway.sessions))
    gateway.pay(session_id)
    received(session_id, machine.now)
    machine.lives(seconds=600)
    assert sum(told(order) == ["payment.success"] for order in orders) == 1
    # And what nobody pays ends after all.
    assert statuses() == ["expired"] * 4 + ["pending_payment"]


def test_the_clock_is_set_back_an_hour_and_nothing_expires_early_or_never(
    shopper: Caller, order: OrderView, machine: Machine
) -> None:
    machine.lives(seconds=60)

    machine.sets_its_clock(hours=-1)
    machine.lives(seconds=WINDOW_SECONDS - 120)

    assert again(order).status == "pending_payment"
    machine.lives(seconds=3_600 + 120)
    assert again(order).status == "expired"


def test_orders_placed_after_a_jump_have_their_window_too(shopper: Caller, machine: Machine) -> None:
    machine.lives(seconds=60)
    machine.sets_its_clock(hours=1)
    machine.lives(seconds=300)
    late = placed(caller=shopper, now=machine.now)

    machine.lives(seconds=WINDOW_SECONDS - 60)

    assert again(late).status == "pending_payment"
    machine.lives(seconds=120)
    assert again(late).status == "expired"


def test_money_of_a_downtime_is_taken_in_before_anything_expires(
    shopper: Caller, order: OrderView, gateway: FakeGateway, machine: Machine
) -> None:
    started(shopper, order, machine.now)
    machine.lives(seconds=60)
    gateway.pay(gateway.only_session())
    machine.now += timedelta(hours=2)
    machine.up_seconds += 7_200

    # The tick of the expiry comes first.
    tasks.expire_orders()
    machine.lives(seconds=300)

    assert told(order) == ["payment.success"]
    assert statuses() == ["pending_payment"]


def test_without_any_leap_an_order_expires_with_the_first_tick_after_its_window(
    shopper: Caller, order: OrderView, machine: Machine
) -> None:
    machine.lives(seconds=WINDOW_SECONDS - 10)
    assert again(order).status == "pending_payment"

    machine.lives(seconds=20)

    assert again(order).status == "expired"


@pytest.mark.django_db(transaction=True)
def test_two_beats_at_once_poll_every_attempt_once_a_slot(shopper: Caller, gateway: FakeGateway, now: datetime) -> None:
    slot = now + timedelta(seconds=60)
    attempts = [started(shopper, placed(caller=shopper, now=now), now).payment.payment_id for _ in range(10)]
    gateway.calls.clear()

    def beat() -> list[Settlement | None]:
        return [services.poll(attempt_id=attempt_id, now=slot) for attempt_id in attempts]

    results = tried_at_once(beat, beat)

    asked = [settlement for result in results if isinstance(result, list) for settlement in result if settlement]
    assert sorted(settlement.payment_id for settlement in asked) == sorted(attempts)
    assert gateway.calls == ["fetch_session"] * 10
    assert set(Attempt.objects.values_list("polls", flat=True)) == {1}


@pytest.mark.django_db(transaction=True)
def test_two_clocks_at_once_end_every_overdue_order_once(shopper: Caller, gateway: FakeGateway, now: datetime) -> None:
    orders = [placed(caller=shopper, now=now) for _ in range(6)]
    for order in orders:
        started(shopper, order, now)
    gateway.calls.clear()
    later = now + timedelta(hours=2)

    def clock() -> list[object]:
        return [services.expire_order(order_id=order.order_id, now=later) for order in orders]

    results = tried_at_once(clock, clock)

    assert [result for result in results if isinstance(result, Exception)] == []
    assert gateway.calls.count("close_session") == len(orders)
    assert [told(order) for order in orders] == [["payment.failed"]] * len(orders)
    assert [entry.type for order in orders for entry in again(order).timeline or ()].count("expired") == len(orders)
    assert set(Payable.objects.values_list("state", flat=True)) == {"closed"}


@pytest.mark.django_db(transaction=True)
def test_two_clocks_an_hour_apart_end_nothing_before_its_time(
    shopper: Caller, order: OrderView, now: datetime, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CLOCK_LEAP_SECONDS = 120
    monkeypatch.setattr(clockwatch, "_database_now", lambda: now)

    for _ in range(10):
        for clock in (now + timedelta(hours=1), now):
            monkeypatch.setattr(tasks, "utc_now", lambda clock=clock: clock)
            tasks.expire_orders()

    assert again(order).status == "pending_payment"
