"""The pace of a replay: its rate, and its rest while live events have to wait."""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import pytest

from integrations.kafka import inbox
from integrations.kafka.delivery import deliver
from integrations.kafka.groups import Group
from integrations.kafka.replay.pace import USUAL_BACKLOG, Pace, Stopped
from shop.kernel.ids import new_id
from shop.kernel.outbox.instants import instant_of
from tests.integrations.kafka import effects
from tests.integrations.kafka.conftest import tell
from tests.integrations.kafka.test_delivery import told


@pytest.fixture
def said() -> list[str]:
    return []


def pace(said: list[str], *, per_second: int = 1_000, backlog: Callable[[], int] = lambda: 0) -> Pace:
    return Pace(per_second=per_second, stop=threading.Event(), say=said.append, backlog=backlog)


class Signal(threading.Event):
    """A signal that notes for how long it was waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.waited: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waited.append(timeout or 0.0)
        return super().wait(timeout)


def of(figures: Iterator[int]) -> Callable[[], int]:
    return lambda: next(figures)


def test_it_keeps_its_rate(said: list[str]) -> None:
    stop = Signal()
    began = time.monotonic()
    hundred_a_second = Pace(per_second=100, stop=stop, say=said.append, backlog=lambda: 0)

    for _ in range(4):
        hundred_a_second.keep(done=10)

    assert time.monotonic() - began >= 0.4
    # It asks for no longer waits than that; how much longer they take is the machine's affair.
    assert sum(stop.waited) <= 0.4


@pytest.mark.parametrize(("per_second", "batch"), [(1, 1), (200, 20), (100_000, 100)])
def test_batches_are_a_tenth_of_a_second_and_never_large(said: list[str], per_second: int, batch: int) -> None:
    assert pace(said, per_second=per_second).batch == batch


def test_it_pauses_while_more_and_more_live_deliveries_wait_and_says_so(said: list[str]) -> None:
    growing = pace(said, backlog=of(iter([USUAL_BACKLOG + 1, USUAL_BACKLOG + 5, USUAL_BACKLOG + 5])))

    growing.keep(done=1)

    assert said == [
        "Paused: 101 live deliveries wait, and there are more and more.",
        "Going on: 105 live deliveries wait.",
    ]


@pytest.mark.parametrize("backlog", [0, USUAL_BACKLOG])
def test_what_always_waits_a_little_pauses_nobody(said: list[str], backlog: int) -> None:
    pace(said, backlog=lambda: backlog).keep(done=1)

    assert said == []


def test_asked_to_stop_it_stops_though_it_is_paused(said: list[str]) -> None:
    stop, growing = threading.Event(), iter(range(USUAL_BACKLOG + 1, 1_000))

    def backlog() -> int:
        if next(growing) > USUAL_BACKLOG + 1:
            stop.set()
        return next(growing)

    with pytest.raises(Stopped):
        Pace(per_second=1, stop=stop, say=said.append, backlog=backlog).keep(done=0)


def test_the_backlog_is_what_live_consumers_have_not_settled(listening: Group, now: datetime) -> None:
    hears = [(listening.name, "analytics.events.v1"), ("another", "order.created.v1")]
    poison = new_id()
    ids = tell(*[new_id() for _ in range(5)], poison)
    within_the_second = instant_of(ids[0]) + timedelta(milliseconds=999)
    later = instant_of(ids[-1]) + timedelta(seconds=3)
    assert inbox.undelivered(listeners=hears, now=later) == 6

    effects.poisoned.add(poison)
    deliver(group=listening, events=told()[:3] + told()[5:], now=now)

    assert inbox.undelivered(listeners=hears, now=later) == 2
    assert inbox.undelivered(listeners=hears, now=within_the_second) == 0
    assert inbox.undelivered(listeners=hears, now=later + timedelta(seconds=10)) == 0
