"""What handling an event does outside the shop: settings/wiring.py says it, a replay asks before it does it."""

from collections.abc import Collection

from django.conf import settings

from integrations.kafka.groups import Group


def effects_of(*, consumer: str, type_name: str) -> frozenset[str]:
    """Return what this consumer's handler of this type does outside the shop: `mail`, `webhook`, `gateway`."""
    return frozenset(settings.OUTSIDE_EFFECTS.get(consumer, {}).get(type_name, ()))


def known_effects() -> list[str]:
    """Return every effect some handler has."""
    return sorted(
        {effect for wired in settings.OUTSIDE_EFFECTS.values() for effects in wired.values() for effect in effects}
    )


def may_handle(*, group: Group, type_name: str, allowed: Collection[str]) -> bool:
    """Tell whether everything that handling such an event does outside the shop has been allowed by name."""
    return effects_of(consumer=group.name, type_name=type_name) <= frozenset(allowed)
