"""The selection flags that the replay commands share."""

from argparse import ArgumentTypeError
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.core.management.base import CommandError, CommandParser
from django.db import Error, connection
from django.utils.dateparse import parse_datetime

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
    """Return what the flags chose; CommandError for a type or an aggregate that no event has."""
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


def instant(text: str) -> datetime:
    """Read an instant; one without an offset is meant in UTC."""
    try:
        read = parse_datetime(text)
    except ValueError:
        read = None
    if read is None:
        raise ArgumentTypeError(f"{text!r} is not an instant such as 2026-11-22T10:00:00Z.")
    return read if read.tzinfo else read.replace(tzinfo=UTC)


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
