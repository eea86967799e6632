from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from integrations.kafka.contracts import files
from integrations.kafka.errors import AlreadyReleased, NotAdditive


class Command(BaseCommand):
    """Write docs/events: a JSON Schema for each declared event, and asyncapi.json of all of them."""

    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        """Take --check or --release."""
        instead = parser.add_mutually_exclusive_group()
        instead.add_argument(
            "--check",
            action="store_true",
            help="write nothing; fail when a file is out of date, or a change since the last release breaks a reader",
        )
        instead.add_argument(
            "--release",
            action="store_true",
            help="write, and freeze the schemas as those of the version in pyproject.toml; done once with each release",
        )

    def handle(self, *_args: Any, check: bool, release: bool, **_options: Any) -> None:
        """Write, compare or freeze."""
        if check:
            self._check()
            return
        for name in files.write():
            self.stdout.write(name)
        if release:
            try:
                self.stdout.write(f"Frozen in {files.release()}.")
            except (NotAdditive, AlreadyReleased) as refusal:
                raise CommandError(str(refusal)) from refusal

    def _check(self) -> None:
        late = files.out_of_date()
        if wrong := [*files.broken_promises(), *([f"Out of date: {', '.join(late)}."] if late else [])]:
            raise CommandError("\n".join([*wrong, "manage.py export_event_schemas writes the files anew."]))
