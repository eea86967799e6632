from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser

from integrations.kafka import parking
from integrations.kafka.arguments import instant, require_some_time, somebodys
from integrations.kafka.effects import effects_of
from integrations.kafka.letters import Letters, dead_letters
from shop.kernel.clock import utc_now


class Command(BaseCommand):
    """Give dead letters new attempts, in the order of their keys. A dry run unless --execute is given."""

    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        """Take what chooses the letters; at least one choice, or --all."""
        parser.add_argument(
            "--id", type=int, action="append", default=[], metavar="N", help="as list_dead_letters says"
        )
        parser.add_argument("--event-id", type=UUID, action="append", default=[], metavar="UUID")
        parser.add_argument("--consumer", action="append", default=[], metavar="NAME")
        parser.add_argument("--type", action="append", default=[], metavar="order.created.v1")
        parser.add_argument("--key", action="append", default=[], metavar="UUID")
        parser.add_argument("--since", type=instant, metavar="2026-11-22T10:00:00Z")
        parser.add_argument("--until", type=instant, metavar="2026-11-22T12:00:00Z")
        parser.add_argument("--all", action="store_true", help="every dead letter there is")
        parser.add_argument("--execute", action="store_true")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Print what would be tried; with --execute try it at once."""
        found = list(dead_letters(_wanted(options)))
        chosen = [letter for letter in found if parking.is_readable(letter)]
        for letter in chosen:
            effects = ", ".join(sorted(effects_of(consumer=letter.consumer, type_name=letter.type)))
            would = f"  would cause: {effects}" if effects else ""
            self.stdout.write(f"{letter.id:>6}  {letter.consumer:<14} {letter.type:<24} {letter.event_id}{would}")
        if len(chosen) < len(found):
            self.stdout.write(f"Left alone, since nobody can read them: {len(found) - len(chosen)}.")
        if not options["execute"]:
            self.stdout.write(f"Dry run: {len(chosen)} would be tried again. To do it: --execute")
            return
        now = utc_now()
        parking.revive(parked_ids=[letter.id for letter in chosen], now=now)
        keys = dict.fromkeys((letter.consumer, letter.key) for letter in chosen)
        handled = sum(parking.drain(consumer=consumer, key=key, now=now) for consumer, key in keys)
        self.stdout.write(f"{len(chosen)} tried again, {handled} events handled, those waiting behind them included.")


def _wanted(options: dict[str, Any]) -> Letters:
    """Return which letters the flags choose; CommandError when they choose none, or what there is not."""
    require_some_time(options)
    wanted = Letters(
        ids=options["id"],
        event_ids=options["event_id"],
        consumers=options["consumer"],
        types=options["type"],
        keys=options["key"],
        since=options["since"],
        until=options["until"],
    )
    if wanted == Letters(ids=[], event_ids=[], consumers=[], types=[], keys=[]) and not options["all"]:
        raise CommandError("Choose dead letters (--id, --event-id, --consumer, --type, --key, ...) or say --all.")
    return somebodys(wanted)
