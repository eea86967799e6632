"""One world: seeded, played step by step, audited after each, brought to rest in the end."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import Context, copy_context
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from hashlib import blake2b
from itertools import chain, count
from random import Random
from typing import Any
from uuid import UUID

from integrations.simulator import turns
from integrations.simulator.acts import Act, Broken, Ended, ended
from integrations.simulator.audit import Audit
from integrations.simulator.faults import Faults
from integrations.simulator.gateway import the_gateway
from integrations.simulator.machinery import Machinery
from integrations.simulator.people import GatewaySide, Staff
from integrations.simulator.scratch import ARTICLES, EPOCH, Scratch
from integrations.simulator.shoppers import Shopper
from integrations.simulator.turns import Fate, Player, Stage, State
from payments.dto import SessionState
from shop.inventory import services as stock
from shop.inventory.dto import StockLevel
from shop.kernel.clock import clock_told_by
from shop.kernel.ids import ids_made_by
from shop.kernel.tasks import wake_ups_heard_by
from shop.kernel.transactions import open_unit_of_work

UNITS = 4
_JUMPS_SECONDS = (1, 1, 1, 5, 5, 5, 30, 30, 30, 120, 120, 600, 1_900, 7_200)
# As long as production waits for a lock.
_LOCK_PATIENCE = timedelta(seconds=3)
_MOST_ROUNDS = 300
# So many steps after a kill was due, any seam will do.
_LONGEST_REPRIEVE = 100


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a world is to be."""

    seed: int
    purchases: int
    kills: int
    steps: int


class SimulatedWorld:
    """Everything of one seed. The same seed plays the same steps."""

    def __init__(self, plan: Plan, *, stage: Stage, scratch: Scratch) -> None:
        self.plan, self.dice, self.stage = plan, Random(plan.seed), stage  # noqa: S311  dice, not secrets
        self.faults = Faults.drawn(self.dice)
        self.calm = True
        self.steps = self.audits = 0
        self.counts: Counter[str] = Counter()
        self.kills: Counter[str] = Counter()
        self.trace: list[str] = []
        self._digest = blake2b(digest_size=16)
        self._now, self._ids = EPOCH, count(1)
        self._ends: dict[Player, Callable[[Ended], None]] = {}
        self._blocked_since: dict[Player, datetime] = {}
        self._looked_at: set[tuple[UUID, str]] = set()
        self._reconciled = False
        self._seen_at: Counter[str] = Counter()
        self._deaths_due = sorted(self.dice.randrange(max(1, plan.steps)) for _ in range(plan.kills))
        self.gateway = the_gateway()
        self.gateway.begin(now=self.now, dice=self.dice, faults=self.faults)
        self.audit = Audit(scratch.monitor, units=UNITS)
        self.machinery = Machinery(self)
        self.shoppers = [Shopper(self, number, list(ARTICLES)) for number in range(1, plan.purchases + 1)]
        self.staff, self.gateway_side = Staff(self, self.audit), GatewaySide(self)
        stage.decide, stage.notes = self._fate, []

    @property
    def digest(self) -> str:
        """A name for everything that happened, in its order."""
        return self._digest.hexdigest()

    def now(self) -> datetime:
        """Return the world's time."""
        return self._now

    def new_id(self) -> UUID:
        """Return a UUIDv7 of the world's time; within a millisecond they are in no order, as on several hosts."""
        milliseconds = int(self._now.timestamp() * 1000)
        return UUID(int=milliseconds << 80 | 7 << 76 | self.dice.getrandbits(12) << 64 | 2 << 62 | next(self._ids))

    def count(self, what: str) -> None:
        """Add one to what happened."""
        self.counts[what] += 1

    def play(self) -> None:
        """Live, then come to rest; Broken as soon as anything is wrong."""
        # A context of its own: a trace the caller has begun would be every job's, and none would make an id for one.
        Context().run(self._play)

    def _play(self) -> None:
        with self._told():
            self.start("the shelves are filled", self._fill_the_shelves, lambda _answer: None)
            self.calm = False
            while self.steps < self.plan.steps and self._is_lively():
                self._step(self._chosen(self._acts()))
            self._come_to_rest()

    def start(self, label: str, job: Callable[[], Any], end: Callable[[Ended], None]) -> str:
        """Give the job to an idle process and play its first turn."""
        player = self.stage.in_state(State.IDLE)[0]
        player.begin(label, copy_context(), job)
        self._ends[player] = end
        return self._turn(player)

    # --- steps ---

    def _acts(self) -> Iterator[Act]:
        for player in self.stage.in_state(State.PAUSED):
            yield Act(2.5, f"{player.label} goes on", partial(self._turn, player))
        for player in self.stage.in_state(State.BLOCKED):
            overdue = self._now - self._blocked_since.setdefault(player, self._now) > _LOCK_PATIENCE
            weight = 50.0 if overdue else 0.2
            yield Act(weight, f"{player.label} waits no longer", partial(self._give_up, player))
        if self.stage.in_state(State.IDLE):
            everybody: Iterable[Any] = (*self.shoppers, self.machinery, self.staff)
            yield from chain.from_iterable(one.acts() for one in everybody)
        yield from self.gateway_side.acts()
        yield Act(0.7, "time passes", self._let_time_pass)

    def _chosen(self, acts: Iterable[Act]) -> Act:
        possible = list(acts)
        return self.dice.choices(possible, [act.weight for act in possible])[0]

    def _step(self, act: Act) -> None:
        self.steps += 1
        self._now += timedelta(milliseconds=self.dice.randint(1, 200))
        self.gateway.time_passes()
        commits = self.stage.commits
        came = act.do()
        line = f"{self.steps:>5}  {self._now:%d %H:%M:%S.%f}"[:-3] + f"  {act.label}: {came}"
        self._digest.update(line.encode())
        self.trace.append(line)
        for what, detail in self.stage.notes:
            raise Broken(what, detail)
        if self.stage.commits != commits:
            self.audits += 1
            self.audit.look(self.gateway.books)
        else:
            self.audit.compare(self.gateway.books)

    def _turn(self, player: Player) -> str:
        self.stage.play(player)
        return self._came_to(player)

    def _came_to(self, player: Player) -> str:
        """Say where the player stands, and tell whoever waits for it when its job is over."""
        if player.state is not State.BLOCKED:
            self._blocked_since.pop(player, None)
        if player.state is not State.IDLE:
            return player.place
        answer = ended(player.result)
        self._ends.pop(player)(answer)
        return answer.code or answer.word

    def _give_up(self, player: Player) -> str:
        dead = self._is_time_to_die("waiting for a lock")
        if dead:
            self.kills["waiting for a lock"] += 1
        self.stage.give_up(player, dead=dead)
        self._blocked_since.pop(player, None)
        self.count("lock time-out")
        return "killed" if dead else "gives up"

    def _let_time_pass(self) -> str:
        seconds = self.dice.choice(_JUMPS_SECONDS)
        self._now += timedelta(seconds=seconds)
        return f"{seconds} s"

    def _is_lively(self) -> bool:
        return any(shopper.stage not in {"gone", "content"} for shopper in self.shoppers) or bool(self._ends)

    # --- fate ---

    def _fate(self, _player: Player, kind: str) -> Fate:
        """Decide at a seam; drawn by whoever has the turn, so in the same order each time."""
        if self.calm:
            return Fate.GO_ON
        self._seen_at[kind] += 1
        if self._is_time_to_die(kind):
            self.kills[kind] += 1
            return Fate.DIE
        faults = self.faults
        share = {
            turns.INSIDE: faults.hand_over_inside,
            turns.BETWEEN: faults.hand_over_between,
            turns.BEFORE_COMMIT: faults.hand_over_at_commit,
            turns.AFTER_COMMIT: faults.hand_over_at_commit,
        }.get(kind, faults.hand_over_at_gateway)
        return Fate.HAND_OVER if self.dice.random() < share else Fate.GO_ON

    def _is_time_to_die(self, kind: str) -> bool:
        """Whether a kill is due, and this seam is it: what is seldom passed is hit as often as what is common."""
        if self.calm or not self._deaths_due or self._deaths_due[0] > self.steps:
            return False
        overdue = self.steps - self._deaths_due[0]
        if self.dice.random() >= max(1 / (1 + self._seen_at[kind]), overdue / _LONGEST_REPRIEVE):
            return False
        self._deaths_due.pop(0)
        return True

    # --- the end ---

    def _come_to_rest(self) -> None:
        """End all lies and faults, let everybody finish, let time pass until nothing is due any more; then look."""
        self.calm = True
        self.faults.end()
        self.gateway.tells_the_truth()
        for _ in range(_MOST_ROUNDS):
            self._drain()
            if not self._let_the_next_happen():
                break
        else:
            raise Broken("the world comes to rest", f"not after {_MOST_ROUNDS} rounds")
        self.audit.look(self.gateway.books)
        self.audit.at_rest(self.gateway.books)

    def _drain(self) -> None:
        """Finish what was begun; then take in callbacks, wake-ups and events until there are none."""
        while act := next(self._unfinished(), None):
            self._step(act)

    def _unfinished(self) -> Iterator[Act]:
        """Yield what is left to do, first things first; only the first is done before it is asked again."""
        for player in self.stage.in_state(State.PAUSED):
            yield Act(1, f"{player.label} goes on", partial(self._turn, player))
        for player in self.stage.in_state(State.BLOCKED):
            yield Act(1, f"{player.label} waits no longer", partial(self._give_up, player))
        for session in self.gateway.books.sessions.values():
            if session.state is SessionState.PROCESSING:
                yield Act(1, f"{session.id} is decided", partial(self._decide, session.id))
        yield from self.machinery.arrived()
        for name, topic in self.machinery.backlog():
            yield Act(1, f"{name} consumes {topic}", partial(self.machinery.consume, name, topic))
        if self.audit.waits_in_the_outbox():
            yield Act(1, "the relay sends", self.machinery.relay)
        if dead := self.audit.dead_letters():
            yield Act(1, "staff revives dead letters", partial(self.staff.revive, dead))

    def _decide(self, session_id: str) -> str:
        self.gateway.decides(self.gateway.books.sessions[session_id], well=True)
        return "paid"

    def _let_the_next_happen(self) -> bool:
        """Let staff look at what waits for them, or go to the next instant at which something is due.

        False when nobody waits for anything, and a last reconciliation has found nothing new.
        """
        if act := next(self._looks(), None):
            self._step(act)
            return True
        there = [refund.then[1] for refund in self.gateway.books.refunds.values() if refund.then]
        due = [at for at in (self.audit.next_due(), *there) if at is not None]
        if due:
            self._reconciled = False
            self._tick_all(at=min(due) + timedelta(seconds=1))
            return True
        if self._reconciled:
            return False
        # Reconciliation leaves alone what has just moved.
        self._tick_all(at=self._now + timedelta(hours=1))
        self._reconciled = True
        return True

    def _tick_all(self, *, at: datetime) -> None:
        self._now = max(self._now, at)
        for task in self.machinery.clock:
            self._step(Act(1, f"{task} ticks", partial(self.machinery.tick, task)))

    def _looks(self) -> Iterator[Act]:
        """Yield what a person should look at and has not, in its present state."""
        for row in self.audit.attempts.values():
            if row["review_reason"] and self._is_new(row["id"], row["review_reason"]):
                yield Act(1, f"staff looks at {row['name']}", partial(self.staff.look_at, row["id"]))
        for row in self.audit.refunds:
            if row["review_reason"] and self._is_new(row["id"], row["review_reason"]):
                yield Act(1, f"staff looks at {row['name']}", partial(self.staff.look_at_refund, row["id"]))
        for row in self.audit.findings:
            # What could not be mended yet is tried again when its payment or its refunds have moved.
            attempt = self.audit.attempts.get(row["attempt_id"], {})
            stands = " ".join(str(attempt.get(figure)) for figure in ("status", "refund_held", "refunded"))
            if self._is_new(row["id"], f"{row['detail']} {stands}"):
                yield Act(1, f"staff fixes {row['kind']} {row['name']}", partial(self.staff.fix, row["id"]))

    def _is_new(self, row_id: UUID, state: str) -> bool:
        if (row_id, state) in self._looked_at:
            return False
        self._looked_at.add((row_id, state))
        self._reconciled = False
        return True

    # --- the beginning ---

    def _fill_the_shelves(self) -> None:
        with open_unit_of_work():
            stock.receive(levels=[StockLevel(sku, UNITS) for sku in ARTICLES], overwrite=True)

    @contextmanager
    def _told(self) -> Iterator[None]:
        with clock_told_by(self.now), ids_made_by(self.new_id), wake_ups_heard_by(self.machinery.hears):
            yield
