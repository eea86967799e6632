"""Play the whole money path in many small worlds that lie, fail and kill, and audit them after every step."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from integrations.simulator.running import simulate
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
        parser.add_argument("--steps", type=int, default=150, help="steps before a world is brought to rest")
        parser.add_argument("--trace", action="store_true", help="print the last steps of every world")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Play, and print what happened."""
        first, seeds = options["seed"], options["seeds"]
        plans = [
            Plan(seed=seed, purchases=options["purchases"], kills=options["kills"], steps=options["steps"])
            for seed in range(first, first + seeds)
        ]
        with tqdm(total=seeds, unit=" seeds", disable=not sys.stderr.isatty()) as progress:

            def after(world: SimulatedWorld) -> None:
                progress.update()
                if options["trace"]:
                    self.stdout.write("\n".join([*world.last, f"digest {world.digest}"]))

            summary = simulate(plans, on_world=after)
        self.stdout.write(str(summary.counts))
        self.stdout.write(str(summary.kills))
        self.stdout.write(f"{summary.seeds} {summary.steps} {summary.audits} {summary.seconds}")
        if summary.failure:
            f = summary.failure
            self.stdout.write("\n".join(f.last))
            raise CommandError(f"seed {f.plan.seed} step {f.step}: {f.invariant}: {f.detail}")
