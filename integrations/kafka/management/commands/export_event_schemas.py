from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from integrations.kafka import schemas


class Command(BaseCommand):
    """Write docs/events/*.schema.json, one file for each declared event."""

    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        """Take --check."""
        parser.add_argument("--check", action="store_true", help="write nothing; fail when a file is out of date")

    def handle(self, *_args: Any, check: bool, **_options: Any) -> None:
        """Write, or compare."""
        if not check:
            for name in schemas.write():
                self.stdout.write(name)
        elif late := schemas.out_of_date():
            raise CommandError(f"Out of date: {', '.join(late)}. Run manage.py export_event_schemas.")
