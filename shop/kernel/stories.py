"""One order's story, told by several contexts: what happened when, and what can happen next.

Whoever supports an order wants one timeline, but what there is to tell lies in contexts that may not import each other.
So each tells its part, settings list the callables (`ORDER_STORIES`), and `manage.py explain_order` puts them together.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

_ADDRESS = re.compile(r"([A-Za-z0-9])[A-Za-z0-9._%+-]*@([A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)")


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened: when, to what (`payment`, `mail`), and what it was, in words."""

    at: datetime
    of: str
    what: str


@dataclass(frozen=True, slots=True)
class Story:
    """A context's part: what happened, in any order, and sentences about what can happen next, none when it is over."""

    moments: tuple[Moment, ...] = ()
    next: tuple[str, ...] = ()


class OrderStory(Protocol):
    """An entry of `settings.ORDER_STORIES`."""

    def __call__(self, *, order_id: UUID, now: datetime) -> Story:
        """Tell this context's part; an empty story when it knows nothing of the order."""


def clock_text(at: datetime) -> str:
    """Return an instant as stories write it, in UTC: `2026-11-22 16:40:14`."""
    return f"{at:%Y-%m-%d %H:%M:%S}"


def without_addresses(text: str) -> str:
    """Return the text with e-mail addresses cut down to what tells two people apart: `a***@example.com`."""
    return _ADDRESS.sub(r"\1***@\2", text)
