from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from integrations.kafka.arguments import count, somebodys
from integrations.kafka.letters import Letters, dead_letters


class Command(BaseCommand):
    """List the events that consumers gave up, oldest first."""

    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        """Take filters."""
        parser.add_argument("--consumer", action="append", default=[], metavar="NAME")
        parser.add_argument("--type", action="append", default=[], metavar="order.created.v1")
        parser.add_argument("--limit", type=count, default=100, metavar="N")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Print one line a letter, and the last line of its error."""
        found = dead_letters(somebodys(Letters(consumers=options["consumer"], types=options["type"])))
        for letter in found[: options["limit"]]:
            reason = letter.last_error.strip().rpartition("\n")[2]
            type_name = letter.type or "(unreadable)"
            self.stdout.write(
                f"{letter.id:>6}  {letter.parked_at:%Y-%m-%d %H:%M:%S}  {letter.consumer:<14} {type_name:<24}"
                f" {letter.event_id}  key {letter.key}  attempts {letter.attempts}\n        {reason[:160]}"
            )
        total = found.count()
        self.stdout.write(f"{total} dead letter{'' if total == 1 else 's'}.")
