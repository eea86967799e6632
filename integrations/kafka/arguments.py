"""The flags that the commands about events share."""

from argparse import ArgumentTypeError
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.core.management.base import CommandError, CommandParser
from django.db import Error, connection
from django.utils.dateparse import parse_datetime

from integrations.kafka.errors import NobodysLetters
from integrations.kafka.letters import Letters, require_known
from shop.kernel.events import event_classes
from shop.kernel.outbox.log import Selection


def add_selection(parser: CommandParser) -> None:
    """Add the flags that choose events; what is not given does not matter."""
    parser.add_argument("--event-id", type=UUID, action="append", default=[], metavar="UUID")
    parser.add_argument("--type", action="append", default=[], metavar="order.created.v1")
    parser.add_argument("--aggregate", default="", metavar="order")
    parser.add_argument("--key", type=UUID, help="the order's or the shopper's id", metavar="UUID")
    parser.add_argument("--correlation-id", default="", metavar="REQUEST-ID")
    parser.add_argument("--since", type=instant, metavar="2026-11-22T10:00:00Z")
    parser.add_argument("--until", type=instant, metavar="2026-11-22T12:00:00Z")


def selection(options: dict[str, Any]) -> Selection:
    """Return what the flags chose; CommandError for a type or an aggregate that no event has, or for no time at all."""
    require_some_time(options)
    declared = event_classes()
    for name in options["type"]:
        if name not in declared:
            raise CommandError(f"There is no event of type {name}; there are {', '.join(sorted(declared))}.")
    aggregates = sorted({told.aggregate for told in declared.values()})
    if options["aggregate"] and options["aggregate"] not in aggregates:
        raise CommandError(f"There is no aggregate called {options['aggregate']}; there are {', '.join(aggregates)}.")
    return Selection(
        event_ids=tuple(options["event_id"]),
        types=tuple(options["type"]),
        aggregate=options["aggregate"],
        key=options["key"],
        correlation_id=options["correlation_id"],
        since=options["since"],
        until=options["until"],
    )


def somebodys(wanted: Letters) -> Letters:
    """Return the letters as they are wanted; CommandError for a consumer or a type there is not."""
    try:
        require_known(wanted)
    except NobodysLetters as refusal:
        raise CommandError(str(refusal)) from refusal
    return wanted


def require_some_time(options: dict[str, Any]) -> None:
    """CommandError when nothing can lie between --since and --until: they were mixed up."""
    if options["since"] and options["until"] and options["since"] >= options["until"]:
        raise CommandError("--since is not before --until: that chooses nothing.")


def count(text: str) -> int:
    """Read how many; none is a number, less than that is not."""
    if not (text.isascii() and text.isdigit()):
        raise ArgumentTypeError(f"{text!r} is not a number such as 100.")
    return int(text)


def instant(text: str) -> datetime:
    """Read an instant; one without an offset is meant in UTC."""
    try:
        read = parse_datetime(text)
        if read is not None:
            return read.astimezone(UTC) if read.tzinfo else read.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        # No such day, or none in UTC: the years end at 1 and 9999.
        pass
    raise ArgumentTypeError(f"{text!r} is not an instant such as 2026-11-22T10:00:00Z.")


@contextmanager
def long_reads() -> Iterator[None]:
    """Let the enclosed statements take the time that a long log needs, whatever a request may take."""
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
    try:
        yield
    finally:
        # A connection that is gone has nothing to be set back.
        with suppress(Error), connection.cursor() as cursor:
            cursor.execute("RESET statement_timeout")
