"""One player at a time: handed over at seams, killed without an effect, blocked by the lock of another."""

from collections.abc import Callable, Iterator
from contextvars import copy_context
from typing import Any

import pytest
from django.db import connection, transaction

from integrations.simulator import turns
from integrations.simulator.scratch import scratch_database
from integrations.simulator.turns import Failure, Fate, Killed, Player, Stage, State
from shop.inventory.dto import StockLevel
from shop.inventory.services import receive
from shop.kernel.transactions import open_unit_of_work

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def stage() -> Iterator[Stage]:
    with scratch_database() as scratch:
        scratch.empty()
        stage = Stage(size=2, monitor=scratch.monitor)
        try:
            yield stage
        finally:
            stage.close()


def begun(stage: Stage, job: Callable[[], Any]) -> Player:
    player = stage.in_state(State.IDLE)[0]
    player.begin("a job", copy_context(), job)
    return player


def shelve(units: int) -> None:
    with open_unit_of_work():
        receive(levels=[StockLevel("MUG", units)], overwrite=True)


def on_the_shelf(stage: Stage) -> int | None:
    row = stage._monitor.execute("SELECT on_hand FROM inventory_stock WHERE sku = 'MUG'").fetchone()
    return row[0] if row else None


def at(kind: str, fate: Fate) -> Callable[[Player, str], Fate]:
    return lambda _player, seam: fate if seam == kind else Fate.GO_ON


@pytest.mark.parametrize(
    ("seam", "left"),
    [(turns.INSIDE, None), (turns.BEFORE_COMMIT, None), (turns.AFTER_COMMIT, 5)],
)
def test_who_is_killed_leaves_what_was_committed(stage: Stage, seam: str, left: int | None) -> None:
    ran: list[str] = []
    stage.decide = at(seam, Fate.DIE)

    def job() -> None:
        with open_unit_of_work():
            transaction.on_commit(lambda: ran.append("hook"))
            receive(levels=[StockLevel("MUG", 5)], overwrite=True)

    player = begun(stage, job)
    stage.play(player)

    assert isinstance(player.result, Failure)
    assert isinstance(player.result.error, Killed)
    assert on_the_shelf(stage) == left
    assert ran == []


def test_the_dead_have_no_effect_when_they_clean_up(stage: Stage) -> None:
    stage.decide = at("the place", Fate.DIE)

    def job() -> None:
        try:
            turns.seam("the place")
        finally:
            shelve(5)

    player = begun(stage, job)
    stage.play(player)

    assert isinstance(player.result, Failure)
    assert on_the_shelf(stage) is None


def test_a_process_is_as_new_after_a_kill(stage: Stage) -> None:
    stage.decide = at(turns.BEFORE_COMMIT, Fate.DIE)
    player = begun(stage, lambda: shelve(5))
    stage.play(player)

    stage.decide = at("", Fate.GO_ON)
    player.begin("another job", copy_context(), lambda: shelve(3))
    stage.play(player)

    assert player.result is None
    assert on_the_shelf(stage) == 3


def test_who_waits_for_a_lock_goes_on_after_the_other_has_committed(stage: Stage) -> None:
    shelved = begun(stage, lambda: shelve(5))
    stage.play(shelved)
    stage.decide = lambda player, seam: (
        Fate.HAND_OVER if player.label == "the first" and seam == turns.BEFORE_COMMIT else Fate.GO_ON
    )
    first, second = stage.players
    first.begin("the first", copy_context(), lambda: shelve(6))
    second.begin("the second", copy_context(), lambda: shelve(7))

    stage.play(first)
    stage.play(second)
    waiting = second.state
    stage.play(first)
    while second.state is State.PAUSED:
        stage.play(second)

    assert waiting is State.BLOCKED
    assert second.result is None
    assert on_the_shelf(stage) == 7


def test_who_waits_for_too_long_is_refused_by_the_database(stage: Stage) -> None:
    stage.play(begun(stage, lambda: shelve(5)))
    stage.decide = lambda player, seam: (
        Fate.HAND_OVER if player.label == "the first" and seam == turns.BEFORE_COMMIT else Fate.GO_ON
    )
    first, second = stage.players
    first.begin("the first", copy_context(), lambda: shelve(6))
    second.begin("the second", copy_context(), lambda: shelve(7))
    stage.play(first)
    stage.play(second)

    stage.give_up(second, dead=False)
    while second.state is State.PAUSED:
        stage.play(second)
    stage.play(first)

    assert isinstance(second.result, Failure)
    assert "canceling statement" in str(second.result.error)
    assert on_the_shelf(stage) == 6


def test_outside_a_simulation_a_seam_is_nothing() -> None:
    turns.seam("anything")

    assert turns.on_stage() is None
    assert connection.settings_dict["ENGINE"] == "django.db.backends.postgresql"
