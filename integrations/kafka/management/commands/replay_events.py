import getpass
import socket
from collections import Counter
from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from integrations.kafka import replay
from integrations.kafka.arguments import add_selection, selection
from integrations.kafka.errors import NoHandler
from integrations.kafka.groups import Group, group, group_names
from integrations.kafka.models import Replay


class Command(BaseCommand):
    """Deliver past events to a consumer that never handled them. A dry run unless --execute is given."""

    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the selection, the destination, and what makes it real."""
        add_selection(parser)
        parser.add_argument("--dead", action="store_true", help="the dead letters among them, in order")
        parser.add_argument("--consumer", action="append", default=[], metavar="NAME")
        parser.add_argument("--all-consumers", action="store_true", help="needs --yes-all-consumers as well")
        parser.add_argument("--yes-all-consumers", action="store_true")
        parser.add_argument("--execute", action="store_true", help="do it; needs --expect and --reason")
        parser.add_argument("--expect", type=int, metavar="N", help="how many deliveries the dry run announced")
        parser.add_argument("--reason", default="", help="why; kept with the audit row")
        parser.add_argument("--rate", type=int, default=200, metavar="N", help="events a second (200)")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Print the plan; with --execute, and if it is what was expected, carry it out."""
        self._groups, self._selection = _groups(options), selection(options)
        deliveries = self._plan_dead() if options["dead"] else self._plan()
        if not options["execute"]:
            self.stdout.write("Dry run: nothing was delivered. To do it: --execute --expect N --reason '...'")
            return
        _check(options, deliveries)
        with tqdm(total=deliveries, unit=" events", disable=None) as bar:
            audit = self._execute(options, bar.update)
        self.stdout.write(
            f"Delivered {audit.delivered}, parked {audit.parked}, already there {audit.repeated}. Audit row {audit.id}."
        )

    def _execute(self, options: dict[str, Any], progress: Callable[[int], object]) -> Replay:
        order = replay.Order(
            selection=self._selection,
            groups=self._groups,
            who=f"{getpass.getuser()}@{socket.gethostname()}",
            reason=options["reason"],
            expected=options["expect"],
            per_second=options["rate"],
        )
        carry_out = replay.heal_dead if options["dead"] else replay.heal
        return carry_out(order=order, progress=progress)

    def _plan_dead(self) -> int:
        letters = Counter(
            replay.dead_among(selection=self._selection, groups=self._groups).values_list("consumer", "type")
        )
        self.stdout.write(f"Dead letters to try again: {letters.total()}")
        for (name, type_name), count in sorted(letters.items()):
            self.stdout.write(f"  {name:<16} {type_name:<28} {count:>8}")
        return letters.total()

    def _plan(self) -> int:
        found = replay.plan(selection=self._selection, groups=self._groups)
        self.stdout.write(f"Selected from the log: {found.selected.total()} events")
        for type_name, count in sorted(found.selected.items()):
            self.stdout.write(f"  {type_name:<28} {count:>8}")
        if found.first_at and found.last_at:
            self.stdout.write(f"  first {found.first_at.isoformat()}, last {found.last_at.isoformat()}")
        self.stdout.write(f"To deliver to {', '.join(group.name for group in self._groups)}: {found.deliveries}")
        for (name, type_name), count in sorted(found.holes.items()):
            self.stdout.write(f"  {name:<16} {type_name:<28} {count:>8}")
        self.stdout.write(f"Already handled or parked there, left alone: {found.settled}")
        self.stdout.write("To be repeated: 0")
        return found.deliveries


def _groups(options: dict[str, Any]) -> list[Group]:
    names = options["consumer"]
    if options["all_consumers"]:
        if not options["yes_all_consumers"]:
            raise CommandError("--all-consumers delivers to everybody; say --yes-all-consumers as well.")
        names = group_names()
    if not names:
        raise CommandError(f"Name the destination: --consumer {' | '.join(group_names())}.")
    try:
        return [group(name) for name in names]
    except NoHandler as error:
        raise CommandError(str(error)) from error


def _check(options: dict[str, Any], deliveries: int) -> None:
    if not options["reason"]:
        raise CommandError("--execute needs --reason '...': it is kept with the audit row.")
    if options["expect"] is None:
        raise CommandError(f"--execute needs --expect N; this selection makes {deliveries} deliveries.")
    if options["expect"] != deliveries:
        raise CommandError(f"Expected {options['expect']} deliveries, found {deliveries}: nothing was done.")
    if options["rate"] < 1:
        raise CommandError("--rate is one event a second or more.")
