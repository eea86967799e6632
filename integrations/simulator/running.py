"""Many worlds, one after the other, on one stage."""

import logging
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import blake2b
from time import monotonic

from django.test.utils import override_settings

from integrations.simulator.acts import Broken, is_busy
from integrations.simulator.scratch import Scratch, scratch_database
from integrations.simulator.turns import Stage, on_stage
from integrations.simulator.world import Plan, SimulatedWorld

PROCESSES = 4
LAST_STEPS = 60
_SETTINGS = {
    "GATEWAYS": {"liar": "integrations.simulator.gateway.the_gateway"},
    "DEFAULT_GATEWAY": "liar",
    "PAYMENT_RETURN_ORIGINS": ["https://shop.example.com"],
    "PAYMENT_LIVE_MODE": False,
    "REDIS_URL": "",
    # The breaker goes by the machine's own clock, and has tests of its own.
    "GATEWAY_CIRCUIT_SILENCES": 0,
    "GATEWAY_CIRCUIT_PAUSE_SECONDS": 0.0,
    "GATEWAY_CALLS_AT_ONCE": 1_000,
    # So has the watch over the clock; this world's clock leaps for a living.
    "CLOCK_LEAP_SECONDS": 0,
}


@dataclass
class Summary:
    """What all worlds together came to."""

    seeds: int = 0
    steps: int = 0
    audits: int = 0
    seconds: float = 0.0
    kills: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    digests: dict[int, str] = field(default_factory=dict)
    failure: "Failed | None" = None

    @property
    def digest(self) -> str:
        """A name for all that happened in all worlds."""
        return blake2b("".join(self.digests.values()).encode(), digest_size=8).hexdigest()


@dataclass(frozen=True)
class Failed:
    """The world that broke, and what it did last."""

    plan: Plan
    step: int
    invariant: str
    detail: str
    last: list[str]


class _Ear(logging.Handler):
    """Hears what services log instead of raising: an error nobody anticipated must not go under."""

    def emit(self, record: logging.LogRecord) -> None:
        """Note an error that is not just a busy database."""
        error = sys.exc_info()[1]
        player = on_stage()
        if player is None or record.levelno < logging.ERROR or not isinstance(error, Exception) or is_busy(error):
            return
        event = record.msg.get("event") if isinstance(record.msg, dict) else record.getMessage()
        player.note("no error but those that are anticipated", f"{event}: {type(error).__name__}: {error}")


def simulate(
    plans: Iterable[Plan],
    *,
    on_world: Callable[[SimulatedWorld], object] | None = None,
    prepare: Callable[[Scratch], object] | None = None,
) -> Summary:
    """Play every plan's world until one breaks, and sum up what happened. `prepare` may change the database first."""
    summary, began = Summary(), monotonic()
    with override_settings(**_SETTINGS), _quiet(), scratch_database() as scratch, _stage(scratch) as stage:
        if prepare:
            prepare(scratch)
        for plan in plans:
            summary.failure = _play(plan, stage, scratch, summary, on_world)
            if summary.failure:
                break
    summary.seconds = monotonic() - began
    return summary


def _play(
    plan: Plan,
    stage: Stage,
    scratch: Scratch,
    summary: Summary,
    on_world: Callable[[SimulatedWorld], object] | None,
) -> Failed | None:
    stage.clear()
    scratch.empty()
    # The shop's own jitter.
    random.seed(plan.seed)
    world = SimulatedWorld(plan, stage=stage, scratch=scratch)
    failure = None
    try:
        world.play()
    except Broken as broken:
        failure = Failed(plan, world.steps, broken.invariant, broken.detail, _telling(world.trace))
    summary.seeds += 1
    summary.steps += world.steps
    summary.audits += world.audits
    summary.kills += world.kills
    summary.counts += world.counts
    summary.digests[plan.seed] = world.digest
    if on_world:
        on_world(world)
    return failure


def _telling(trace: list[str]) -> list[str]:
    """Return the last steps, without the clock's that found nothing to do."""
    return [line for line in trace if not line.endswith("ticks: done")][-LAST_STEPS:] + trace[-1:]


@contextmanager
def _stage(scratch: Scratch) -> Iterator[Stage]:
    stage = Stage(size=PROCESSES, monitor=scratch.monitor)
    try:
        yield stage
    finally:
        stage.close()


@contextmanager
def _quiet() -> Iterator[None]:
    """Take the shop's log lines away from the terminal, and listen to them."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    root.handlers, root.level = [_Ear()], logging.ERROR
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.handlers = handlers
        root.setLevel(level)
