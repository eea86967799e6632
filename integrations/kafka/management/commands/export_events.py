import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from integrations.kafka.arguments import add_selection, long_reads, selection
from integrations.kafka.envelope import structured
from shop.kernel.outbox import log as event_log

CHUNK = 1_000


class Command(BaseCommand):
    """Write past events as NDJSON, one structured CloudEvent a line, to a file or standard output."""

    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the selection, and where to write."""
        add_selection(parser)
        parser.add_argument("--output", type=Path, metavar="FILE", help="whole or not at all; standard output without")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Write the events, oldest first; what was written is told on standard error."""
        wanted = selection(options)
        target: Path | None = options["output"]
        if target is not None and not target.name:
            raise CommandError(f"--output is a file, and {target} is a folder.")
        written = 0
        # On a terminal a bar is shown, unless the events themselves go there.
        hidden = True if target is None and sys.stdout.isatty() else None
        try:
            with long_reads(), _opened(target) as file, tqdm(unit=" events", disable=hidden) as bar:
                for chunk in event_log.chunks(wanted, size=CHUNK):
                    file.write(b"".join(structured(told) + b"\n" for told in chunk))
                    written += len(chunk)
                    bar.update(len(chunk))
        except BrokenPipeError:
            # Whoever read it has had enough; Python would complain once more when it closes its own end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise CommandError(f"The reader went away after {written} events.") from None
        except OSError as error:
            raise CommandError(f"Not written: {error.strerror or error} ({target or 'standard output'}).") from error
        self.stderr.write(f"{written} events written{f' to {target}' if target else ''}.")


@contextmanager
def _opened(target: Path | None) -> Iterator[BinaryIO]:
    """Open what to write to. A file gets its name once it is whole and on the disk; nothing is left of half a one."""
    if target is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    draft = target.with_name(f".{target.name}.{os.getpid()}.draft")
    try:
        with draft.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
