"""Bugs planted on purpose, to see that the simulator finds them: `python -m tests.integrations.simulator.planted lock`.

Where the database would refuse the consequence its constraint goes too, and where a rule of the auditor merely adds up
our own figures that rule goes: then the money itself has to show.
"""

import os
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from unittest.mock import patch
from uuid import UUID

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings.test")
if __name__ == "__main__":
    import django

    django.setup()

from integrations.kafka import inbox
from integrations.kafka.envelope import Arrived
from integrations.kafka.inbox import Entered
from integrations.simulator import audit
from integrations.simulator.running import Summary, simulate
from integrations.simulator.scratch import Scratch
from integrations.simulator.world import Plan
from payments.dto import SessionRequest
from payments.queries import AttemptRow, rows
from payments.services import gateways
from shop.kernel.ids import new_id
from shop.kernel.money import Money


@dataclass(frozen=True, kw_only=True)
class Bug:
    """What is replaced in the code, dropped in the database, and not asked by the auditor."""

    what: str
    patches: dict[str, object]
    dropped: tuple[tuple[str, str], ...] = ()
    unasked: tuple[str, ...] = field(default=())


def _enter_everything(*, consumer: str, events: Sequence[Arrived], now: datetime) -> Entered:
    return replace(_enter(consumer=consumer, events=events, now=now), fresh=frozenset(event.id for event in events))


def _enter_again_always(*, consumer: str, event_id: UUID, now: datetime) -> bool:
    return True


def _no_differences(*, attempt: AttemptRow, word: object) -> str:
    return ""


def _refundable_without_hold(*, attempt: AttemptRow) -> Money:
    return Money(attempt.captured - attempt.refunded, attempt.currency)


def _another_key(*, attempt: AttemptRow) -> SessionRequest:
    return replace(_request_of(attempt=attempt), idempotency_key=str(new_id()))


_enter = inbox.enter
_request_of = gateways.request_of

BUGS = {
    "dedupe": Bug(
        what="the inbox lets every event in, however often it comes",
        patches={
            "integrations.kafka.inbox.enter": _enter_everything,
            "integrations.kafka.inbox.enter_again": _enter_again_always,
        },
    ),
    "lock": Bug(
        what="payable and attempt are read without FOR UPDATE",
        patches={
            "payments.queries.rows._LOCK": rows._LOCK.replace("FOR UPDATE OF attempt", "").replace(" FOR UPDATE", ""),
        },
    ),
    "amount": Bug(
        what="the gateway's word is believed whatever amount, currency and reference it names",
        patches={
            "payments.services.settling.differences": _no_differences,
            "payments.services.start.differences": _no_differences,
        },
    ),
    "hold": Bug(
        what="what refunds under way hold is not looked at: only what is already back counts",
        patches={"payments.services.refunds.requests.refundable": _refundable_without_hold},
        dropped=(("payments_attempt", "payments_attempt_refunds_within_captured"),),
        unasked=("what an attempt holds for refunds is what they ask for",),
    ),
    "key": Bug(
        what="a payment that was not answered is asked for under another idempotency key",
        patches={"payments.services.gateways.request_of": _another_key},
    ),
}


@contextmanager
def planted(bug: Bug) -> Iterator[None]:
    """Have the bug in the code of this process."""
    with ExitStack() as stack:
        for target, replacement in bug.patches.items():
            stack.enter_context(patch(target, replacement))
        stack.enter_context(patch.dict(audit.RULES))
        for sentence in bug.unasked:
            audit.RULES.pop(sentence)
        yield


def hunt(
    name: str, *, first: int = 1, seeds: int = 1_000, on_seed: Callable[[object], object] | None = None
) -> Summary:
    """Play worlds with the bug until one breaks, or all are played."""
    bug = BUGS[name]

    def drop_constraints(scratch: Scratch) -> None:
        for table, constraint in bug.dropped:
            scratch.monitor.execute(f"ALTER TABLE {table} DROP CONSTRAINT {constraint}")

    plans = (Plan(seed=seed, purchases=3, kills=2, steps=150) for seed in range(first, first + seeds))
    with planted(bug):
        return simulate(plans, prepare=drop_constraints, on_world=on_seed)


def main() -> int:
    """Hunt the bugs that are named, or all of them; 1 when one is not found."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BUGS))
    parser.add_argument("--seeds", type=int, default=1_000)
    options = parser.parse_args()
    missed = 0
    for name in options.names or BUGS:
        summary = hunt(name, seeds=options.seeds)
        found = summary.failure
        missed += found is None
        told = f"NOT FOUND in {summary.seeds} seeds and {summary.steps} steps"
        if found is not None:
            told = f"found at seed {found.plan.seed}, step {found.step}, after {summary.steps} steps in all\n  "
            told += f"{found.invariant}: {found.detail[-300:]}"
        sys.stdout.write(f"{name}: {BUGS[name].what}\n  {told}\n")
        sys.stdout.flush()
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
