"""Play the whole money path in many small worlds that lie, fail and kill, and audit them after every step."""

import sys
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Mapping
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from integrations.simulator.audit import RULES, SENTENCES_OF_BOOKS, SENTENCES_OF_REST
from integrations.simulator.running import Failed, Summary, simulate
from integrations.simulator.world import Plan, SimulatedWorld


class Command(BaseCommand):
    """See docs/simulator.md."""

    help = "Simulate purchases with a gateway that lies and processes that are killed; exit 1 when an invariant breaks."
    # Importing every view takes longer than a world.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take what a world is to be, and how many of them."""
        parser.add_argument("--seed", type=int, default=1, help="the first seed (default 1)")
        parser.add_argument("--seeds", type=int, default=1, help="how many seeds, one after the other (default 1)")
        parser.add_argument("--purchases", type=int, default=3, help="shoppers in a world (default 3)")
        parser.add_argument("--kills", type=int, default=2, help="processes killed in a world (default 2)")
        parser.add_argument("--steps", type=int, default=150, help="steps before a world comes to rest (default 150)")
        parser.add_argument("--trace", action="store_true", help="print every step of every world")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Play, and print what happened; CommandError, thus exit status 1, for the first world that breaks."""
        first, seeds = options["seed"], options["seeds"]
        plans = [
            Plan(seed=seed, purchases=options["purchases"], kills=options["kills"], steps=options["steps"])
            for seed in range(first, first + seeds)
        ]
        with tqdm(total=seeds, unit=" seeds", disable=not sys.stderr.isatty()) as progress:

            def after(world: SimulatedWorld) -> None:
                progress.update()
                if options["trace"]:
                    self.stdout.write("\n".join(world.trace))

            summary = simulate(plans, on_world=after)
        self._sum_up(summary)
        if summary.failure is not None:
            self.stdout.write(self._last_steps(summary.failure))
            raise CommandError(_in_short(summary.failure))

    def _sum_up(self, summary: Summary) -> None:
        sentences = len(RULES) + len(SENTENCES_OF_BOOKS)
        self.stdout.write(
            f"{summary.seeds} seeds, {summary.steps:,} steps, {summary.kills.total():,} kills,"
            f" {summary.audits:,} audits of {sentences} invariants (and {len(SENTENCES_OF_REST)} at the end of each"
            f" world), {summary.seconds:.0f} s, digest {summary.digest}"
        )
        self.stdout.write("killed " + _listed(summary.kills))
        for actor, words in _by_actor(summary.counts).items():
            self.stdout.write(f"{actor}: {_listed(words)}")

    def _last_steps(self, failed: Failed) -> str:
        return "\n".join(["", f"the last steps of seed {failed.plan.seed}:", *failed.last, ""])


def _in_short(failed: Failed) -> str:
    plan = failed.plan
    return (
        f"seed {plan.seed} breaks at step {failed.step}: {failed.invariant}\n  {failed.detail}\n"
        f"replay: manage.py simulate_payments --seed {plan.seed} --purchases {plan.purchases} --kills {plan.kills}"
        f" --steps {plan.steps} --trace"
    )


def _by_actor(counts: Counter[str]) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = {}
    for what, number in sorted(counts.items()):
        actor, _, word = what.partition(": ")
        found.setdefault(actor, Counter())[word or "times"] += number
    return found


def _listed(counts: Mapping[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return ", ".join(f"{word} {number:,}" for word, number in ordered)
