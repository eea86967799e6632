"""Turns: several processes, a thread and a connection each, of which exactly one runs at any moment.

A player runs until a seam where fate hands over or kills, until it waits for another's lock, or until its job is
done. PostgreSQL says who waits (`pg_locks`), not the time that has passed: so the same seed gives the same turns.
"""

import threading
import traceback
from collections.abc import Callable
from contextvars import Context
from enum import Enum, auto
from typing import Any

import psycopg
from django.db import connection

BETWEEN, INSIDE = "between statements", "inside a transaction"
BEFORE_COMMIT, AFTER_COMMIT = "before the commit", "after the commit"

# How long an answer may take before we look whether it waits for a lock.
PATIENCE_SECONDS = 0.004
_WAITS = "SELECT EXISTS (SELECT FROM pg_locks WHERE pid = %s AND NOT granted)"


class Killed(BaseException):
    """What ends a process that is killed: nothing catches it, and nothing the process still tries has an effect."""


class Fate(Enum):
    """What happens to a player at a seam."""

    GO_ON = auto()
    HAND_OVER = auto()
    DIE = auto()


class State(Enum):
    """Where a player stands. BLOCKED: the statement under way waits for a lock of another player."""

    IDLE = auto()
    RUNNING = auto()
    PAUSED = auto()
    BLOCKED = auto()


class Failure:
    """What a job ended with instead of a result."""

    def __init__(self, error: BaseException) -> None:
        self.error = error
        self.text = "".join(traceback.format_exception(error))


_here = threading.local()


def on_stage() -> "Player | None":
    """Return the player whose thread this is; None outside of a simulation."""
    return getattr(_here, "player", None)


def seam(kind: str) -> None:
    """Offer a place where the running player may be interrupted."""
    if player := on_stage():
        player.pass_seam(kind)


class Player(threading.Thread):
    """One process of the shop: does one job at a time, with a database connection of its own."""

    def __init__(self, stage: "Stage", number: int) -> None:
        super().__init__(name=f"player-{number}", daemon=True)
        self.number = number
        self.state = State.IDLE
        self.label = self.place = ""
        self.dead = False
        self.result: Any = None
        self.pid = 0
        self._stage = stage
        self._go, self._back = threading.Semaphore(0), threading.Semaphore(0)
        self._job: tuple[Context, Callable[[], Any]] | None = None

    # --- called by the stage, in its thread ---

    def begin(self, label: str, context: Context, job: Callable[[], Any]) -> None:
        """Take a job; it runs when the player's turn comes."""
        self.label, self.place, self.dead, self.result = label, "its beginning", False, None
        self._job = (context, job)
        self.state = State.PAUSED

    def go_on(self) -> None:
        """Let the thread run."""
        self.state = State.RUNNING
        self._go.release()

    def is_back(self, seconds: float | None = None) -> bool:
        """Wait for the thread to stop; False when it still runs or waits."""
        return self._back.acquire(timeout=seconds)

    def leave(self) -> None:
        """End the thread, which must be idle."""
        self._job = None
        self._go.release()
        self.join()

    # --- called in the player's own thread ---

    def run(self) -> None:
        """Do jobs until there is none."""
        _here.player = self
        try:
            connection.ensure_connection()
            self.pid = connection.connection.info.backend_pid
            self._back.release()
            while self._take_turn():
                pass
        finally:
            connection.close()

    def _take_turn(self) -> bool:
        self._go.acquire()
        if self._job is None:
            return False
        context, job = self._job
        try:
            self.result = context.run(job)
        except BaseException as error:  # noqa: BLE001  whatever it is, the stage is told
            self.result = Failure(error)
        if connection.connection is None or connection.connection.info.transaction_status:
            connection.close()
            connection.ensure_connection()
            self.pid = connection.connection.info.backend_pid
        self.state = State.IDLE
        self._back.release()
        return True

    def pass_seam(self, kind: str) -> None:
        """Go on, stop until the next turn, or die here."""
        if self.dead:
            raise Killed(kind)
        match self._stage.fate(self, kind):
            case Fate.DIE:
                self.dead = True
                raise Killed(kind)
            case Fate.HAND_OVER:
                self._stop_at(kind)

    def has_returned(self) -> None:
        """Stop when the statement that has just ended had to wait: others have run meanwhile."""
        if self.state is State.BLOCKED:
            self._stop_at("after waiting for a lock")

    def has_committed(self) -> None:
        """Say that others may see something new."""
        self._stage.commits += 1

    def note(self, what: str, detail: str) -> None:
        """Tell the stage of something that must not happen."""
        self._stage.notes.append((what, f"{self.label}: {detail}"))

    def _stop_at(self, place: str) -> None:
        self.place = place
        self.state = State.PAUSED
        self._back.release()
        self._go.acquire()
        if self.dead:
            raise Killed(place)


class Stage:
    """The players, and whose turn it is. `fate` is asked at every seam, in the thread of whoever comes to it."""

    def __init__(self, *, size: int, monitor: "psycopg.Connection[Any]") -> None:
        self.commits = 0
        self.notes: list[tuple[str, str]] = []
        self.decide: Callable[[Player, str], Fate] = lambda _player, _kind: Fate.GO_ON
        self._monitor = monitor
        # Those who were blocked when we last looked; they stop by themselves when they are no longer.
        self._waiting: list[Player] = []
        self.players = [Player(self, number) for number in range(size)]
        for player in self.players:
            player.start()
            player.is_back()

    def clear(self) -> None:
        """Kill whoever still has a job, as a machine that is switched off."""
        self.decide = lambda _player, _kind: Fate.GO_ON
        for player in self.in_state(State.BLOCKED):
            self.give_up(player, dead=True)
        for player in self.in_state(State.PAUSED):
            player.dead = True
            player.go_on()
            player.is_back()

    def close(self) -> None:
        """End all threads."""
        self.clear()
        for player in self.players:
            player.leave()

    def in_state(self, state: State) -> list[Player]:
        """Return the players that stand so, by their numbers."""
        return [player for player in self.players if player.state is state]

    def fate(self, player: Player, kind: str) -> Fate:
        """Decide what happens at a seam. While somebody waits for a lock, every seam may have released it."""
        fate = self.decide(player, kind)
        # Not by their states: who has just got the lock may be back, or not yet.
        return Fate.HAND_OVER if fate is Fate.GO_ON and self._waiting else fate

    def play(self, player: Player) -> None:
        """Give a paused player its turn, until it stops, is done, or waits for a lock."""
        player.go_on()
        while not player.is_back(PATIENCE_SECONDS):
            if self._waits(player):
                player.state = State.BLOCKED
                player.place = "waiting for a lock"
                self._waiting.append(player)
                break
        self._look_after_the_waiting()

    def give_up(self, player: Player, *, dead: bool) -> None:
        """End the wait of a blocked player: its statement fails as after a lock time-out, or its process is dead."""
        player.dead = dead
        self._monitor.execute("SELECT pg_cancel_backend(%s)", [player.pid])
        player.is_back()
        self._waiting.remove(player)
        self._look_after_the_waiting()

    def _look_after_the_waiting(self) -> None:
        """Wait until everybody who was waiting for a lock waits still, or has stopped after it."""
        for player in list(self._waiting):
            while not self._waits(player):
                if player.is_back(PATIENCE_SECONDS):
                    self._waiting.remove(player)
                    break

    def _waits(self, player: Player) -> bool:
        row = self._monitor.execute(_WAITS, [player.pid]).fetchone()
        return bool(row and row[0])
