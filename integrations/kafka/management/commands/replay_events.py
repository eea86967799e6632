import getpass
import os
import socket
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import InterfaceError, OperationalError
from tqdm import tqdm

from integrations.kafka.arguments import add_selection, long_reads, selection
from integrations.kafka.effects import known_effects
from integrations.kafka.errors import CannotResume, DatabaseAway, NoHandler, NotReplaySafe
from integrations.kafka.groups import Group, group, group_names
from integrations.kafka.models import Replay
from integrations.kafka.replay import announcing
from integrations.kafka.replay.audit import Mode, ReplayRequest, begin, unfinished
from integrations.kafka.replay.pace import Pace, Stopped
from integrations.kafka.replay.retelling import TARGET
from integrations.kafka.replay.running import carry_out
from integrations.kafka.stopping import stopping

NICENESS = 10


class Command(BaseCommand):
    """Deliver past events to consumers that never handled them, or make an effect anew. A dry run without --execute."""

    help = __doc__

    def run_from_argv(self, argv: list[str]) -> None:
        """Let everybody else on this machine go first: nobody waits for a replay."""
        os.nice(NICENESS)
        super().run_from_argv(argv)

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the selection, the destination, and what makes it real."""
        add_selection(parser)
        parser.add_argument("--dead", action="store_true", help="the dead letters among them, in order")
        parser.add_argument("--consumer", action="append", default=[], metavar="NAME")
        parser.add_argument("--all-consumers", action="store_true", help="needs --yes-all-consumers as well")
        parser.add_argument("--yes-all-consumers", action="store_true")
        parser.add_argument(
            "--target",
            metavar="NAME",
            help="a consumer outside the shop: the events go onto their topics, marked for it",
        )
        parser.add_argument("--mode", choices=["heal", "rebuild"], default="heal")
        parser.add_argument(
            "--allow-effect",
            action="append",
            default=[],
            metavar="NAME",
            help="mail, webhook, gateway: held back without",
        )
        parser.add_argument("--execute", action="store_true", help="do it; needs --expect and --reason")
        parser.add_argument("--expect", type=int, metavar="N", help="how many deliveries the dry run announced")
        parser.add_argument("--reason", default="", help="why; kept with the audit row")
        parser.add_argument("--rate", type=int, default=200, metavar="N", help="events a second (200)")
        parser.add_argument("--resume", type=UUID, metavar="ID", help="go on with a replay that was interrupted")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Print the plan; with --execute, and if it is what was expected, carry it out."""
        if options["rate"] < 1:
            raise CommandError("--rate is one event a second or more.")
        try:
            with long_reads():
                self._handle(options)
        except (NoHandler, NotReplaySafe, CannotResume) as refusal:
            raise CommandError(str(refusal)) from refusal

    def _handle(self, options: dict[str, Any]) -> None:
        if options["resume"]:
            audit = unfinished(replay_id=options["resume"])
            self._carry_out(audit, left=max(0, audit.expected - audit.delivered - audit.parked), rate=options["rate"])
            return
        mode, consumers = _mode(options), _consumers(options)
        announced = self._announce(mode, consumers, options)
        if not options["execute"]:
            self.stdout.write("Dry run: nothing was done. To do it: --execute --expect N --reason '...'")
            return
        _check(options, announced.count)
        audit = begin(
            ReplayRequest(
                mode=mode,
                selection=announced.selection,
                consumers=consumers,
                effects=options["allow_effect"],
                who=f"{getpass.getuser()}@{socket.gethostname()}",
                reason=options["reason"],
                expected=options["expect"],
            )
        )
        self._carry_out(audit, left=announced.count, rate=options["rate"])

    def _announce(self, mode: Mode, consumers: Sequence[str], options: dict[str, Any]) -> announcing.Announced:
        wanted = selection(options)
        groups: list[Group] = [] if mode is Mode.RETELL else [group(name) for name in consumers]
        announced = {
            Mode.HEAL: lambda: announcing.heal(selection=wanted, groups=groups, effects=options["allow_effect"]),
            Mode.DEAD: lambda: announcing.dead(selection=wanted, groups=groups, effects=options["allow_effect"]),
            Mode.REBUILD: lambda: announcing.rebuild(selection=wanted, groups=groups),
            Mode.RETELL: lambda: announcing.retell(selection=wanted, target=consumers[0]),
        }[mode]()
        for line in announced.lines:
            self.stdout.write(line)
        return announced

    def _carry_out(self, audit: Replay, *, left: int, rate: int) -> None:
        self.stdout.write(f"Replay {audit.id} by {audit.who}.")
        with ExitStack() as opened:
            stop = opened.enter_context(stopping())
            bar = opened.enter_context(tqdm(total=left, unit=" events", disable=None))
            pace = Pace(per_second=rate, stop=stop, say=self._beside(bar))
            try:
                carry_out(audit=audit, pace=pace, progress=bar.update)
            except Stopped:
                raise CommandError(
                    f"Stopped after {audit.delivered} events. To go on: replay_events --resume {audit.id}"
                ) from None
            except (DatabaseAway, OperationalError, InterfaceError) as error:
                raise CommandError(
                    f"The database is away ({error}). To go on: replay_events --resume {audit.id}"
                ) from None
        self.stdout.write(announcing.ended(audit))

    def _beside(self, bar: Any) -> Callable[[str], None]:
        def say(text: str) -> None:
            with bar.external_write_mode():
                self.stdout.write(text)

        return say


def _mode(options: dict[str, Any]) -> Mode:
    given = [name for name in ("target", "dead") if options[name]]
    if options["mode"] == "rebuild":
        given.append("mode rebuild")
    if len(given) > 1:
        raise CommandError(f"Choose one of --{' and --'.join(given)}.")
    if options["target"]:
        return Mode.RETELL
    if options["dead"]:
        return Mode.DEAD
    return Mode(options["mode"])


def _consumers(options: dict[str, Any]) -> list[str]:
    """Return whom the events are for, and refuse what is not said clearly."""
    if unknown := sorted({*options["allow_effect"]} - {*known_effects()}):
        raise CommandError(f"There is no effect called {unknown[0]}; there are {', '.join(known_effects())}.")
    if options["target"]:
        return [_target(options)]
    if options["all_consumers"]:
        if not options["yes_all_consumers"]:
            raise CommandError("--all-consumers delivers to everybody; say --yes-all-consumers as well.")
        return group_names()
    names = list(dict.fromkeys(options["consumer"]))
    if not names:
        raise CommandError(f"Name the destination: --consumer {' | '.join(group_names())}, or --target NAME.")
    if options["mode"] == "rebuild" and len(names) > 1:
        raise CommandError("A rebuild is of one consumer.")
    return names


def _target(options: dict[str, Any]) -> str:
    name: str = options["target"]
    if options["consumer"] or options["all_consumers"]:
        raise CommandError("Choose either --target or --consumer.")
    if name in group_names():
        raise CommandError(f"{name} is one of the shop's own: --consumer {name} delivers to it directly.")
    if not TARGET.fullmatch(name):
        raise CommandError("--target is a name of small letters, digits, dots and dashes, such as warehouse.")
    return name


def _check(options: dict[str, Any], announced: int) -> None:
    if not options["reason"].strip():
        raise CommandError("--execute needs --reason '...': it is kept with the audit row.")
    if options["expect"] is None:
        raise CommandError(f"--execute needs --expect N; this selection makes {announced} deliveries.")
    if options["expect"] != announced:
        raise CommandError(f"Expected {options['expect']} deliveries, found {announced}: nothing was done.")
