"""Which events an endpoint hears: types (`order.paid`), everything that begins so (`order.*`), or all (`*`)."""

from collections.abc import Sequence
from functools import cache

from django.conf import settings

from notifications.errors import UnknownEventType
from shop.kernel.events import event_class

ALL = "*"
GROUP = "webhooks"


@cache
def public_types() -> tuple[str, ...]:
    """Return what merchants' systems may hear, as wired: `order.created` and so on, without versions."""
    return tuple(sorted({event_class(type_name).topic for type_name in settings.CONSUMERS[GROUP]}))


def hears(*, events: Sequence[str], type_name: str) -> bool:
    """Tell whether one of the patterns fits the type."""
    return any(_fits(pattern, type_name) for pattern in events)


def checked(*, events: Sequence[str]) -> list[str]:
    """Return the patterns, each once; UnknownEventType for one that fits nothing there is."""
    for pattern in events:
        if not any(_fits(pattern, type_name) for type_name in public_types()):
            raise UnknownEventType(event=pattern, known=public_types())
    return list(dict.fromkeys(events))


def _fits(pattern: str, type_name: str) -> bool:
    if pattern == ALL:
        return True
    return type_name.startswith(pattern[:-1]) if pattern.endswith(".*") else pattern == type_name
