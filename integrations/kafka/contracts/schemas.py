"""The JSON Schema of every declared event: what merchants' systems may rely on."""

from typing import Any

from shop.kernel.events import Event, event_classes

Schema = dict[str, Any]


def declared_events() -> list[type[Event]]:
    """Return the events that contexts declare in their rooms `events`, by the names of their types."""
    return [declared for _, declared in sorted(event_classes().items()) if declared.__module__.endswith(".events")]


def schema_of(declared: type[Event]) -> Schema:
    """Return the schema of a type's data, with its topic and the field that is its key."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:shop:event:{declared.type_name()}",
        "x-topic": declared.topic,
        "x-key": declared.key_field,
        **declared.schema(),
    }
