"""Who listens to what: settings/wiring.py, with the handlers found."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string

from integrations.kafka.errors import NoHandler
from shop.kernel.events import event_class

# Called as handler(event=..., event_id=...) inside a unit of work.
Handler = Callable[..., Any]


@dataclass(frozen=True)
class Group:
    """A consumer group: its name and its handler for each versioned type."""

    name: str
    handlers: dict[str, Handler]

    @property
    def topics(self) -> list[str]:
        """The topics of the types it handles."""
        return sorted({event_class(type_name).topic for type_name in self.handlers})


def group_names() -> list[str]:
    """Return the names of all consumer groups."""
    return list(settings.CONSUMERS)


@cache
def group(name: str) -> Group:
    """Return the group called `name`, its handlers imported; NoHandler when there is none."""
    try:
        wired = settings.CONSUMERS[name]
    except KeyError:
        raise NoHandler(f"There is no consumer called {name}; there are {', '.join(settings.CONSUMERS)}.") from None
    return Group(name=name, handlers={type_name: import_string(path) for type_name, path in wired.items()})


def listeners() -> list[tuple[str, str]]:
    """Return every pair of a consumer and a type it handles."""
    return [(name, type_name) for name, wired in settings.CONSUMERS.items() for type_name in wired]
