"""One AsyncAPI 3 document of all that is told on Kafka: topics, messages, and who sends and receives them.

It comes from what the code goes by: the classes in each context's `events.py`, and `CONSUMERS` of settings/wiring.py.
"""

import inspect
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import msgspec

from integrations.kafka.contracts.schemas import Schema, declared_events
from integrations.kafka.envelope import source_of
from integrations.kafka.groups import listeners
from shop.kernel.events import Event

BINDINGS = {"bindingVersion": "0.5.0"}
Part = dict[str, Any]

_UUID: Schema = {"type": "string", "format": "uuid"}
# What every record's headers hold; the type and the source are each message's own.
ENVELOPE: Schema = {
    "type": "object",
    "description": "CloudEvents 1.0 in Kafka's binary mode.",
    "properties": {
        "ce_specversion": {"type": "string", "const": "1.0"},
        "content-type": {"type": "string", "const": "application/json"},
        "ce_id": {**_UUID, "description": "The event's id: the same when it comes again."},
        "ce_type": {"type": "string", "description": "The type with its version."},
        "ce_source": {"type": "string", "format": "uri-reference", "description": "The context that tells it."},
        "ce_subject": {**_UUID, "description": "The key, as in the record's own key."},
        "ce_time": {"type": "string", "format": "date-time", "description": "When it happened, in UTC."},
        "ce_sequence": {
            "type": "string",
            "pattern": "^[0-9]+$",
            "description": "Its place among the facts of its aggregate, from 1 without a gap; 0 for views.",
        },
        "ce_correlationid": {"type": "string", "description": "The request that began it all."},
        "ce_causationid": {"type": "string", "description": "The event whose handling told this one."},
        "ce_replayid": {**_UUID, "description": "On a replay: which one."},
        "ce_replaytarget": {"type": "string", "description": "On a replay: the only consumer that is to take it."},
        "traceparent": {"type": "string", "description": "W3C trace context."},
    },
    "required": "ce_specversion content-type ce_id ce_type ce_source ce_subject ce_time ce_sequence".split(),
}


def document(*, version: str) -> Part:
    """Return the whole document; `version` is the shop's."""
    events = declared_events()
    names, schemas = msgspec.json.schema_components(events, ref_template="#/components/schemas/{name}")
    payloads = dict(zip(events, names, strict=True))
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Order to payment: events",
            "version": version,
            "description": "The shop's facts as CloudEvents on Kafka: at least once, in order for one topic and key.",
            "license": {"name": "BSD-3-Clause"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "kafka": {
                "host": "{brokers}",
                "protocol": "kafka",
                "variables": {"brokers": {"description": "KAFKA_BOOTSTRAP_SERVERS of the deployment."}},
            }
        },
        "channels": dict(_channels(events)),
        "operations": dict([*_sending(events), *_receiving(events)]),
        "components": {
            "messages": {declared.type_name(): _message(declared, payloads[declared]) for declared in events},
            "schemas": {**schemas, "Envelope": ENVELOPE},
        },
    }


def _channels(events: list[type[Event]]) -> Iterator[tuple[str, Part]]:
    for topic, types in _by_topic(events).items():
        messages = {name: {"$ref": f"#/components/messages/{name}"} for name in types}
        yield topic, {"address": topic, "messages": messages, "bindings": {"kafka": {"topic": topic, **BINDINGS}}}


def _sending(events: list[type[Event]]) -> Iterator[tuple[str, Part]]:
    """Yield one operation for each topic, by the context that declares its events."""
    for topic, types in _by_topic(events).items():
        context = source_of(types[0]).decode().strip("/").replace("/", ".")
        yield f"{context}.sends.{topic}", _operation("send", topic, types)


def _receiving(events: list[type[Event]]) -> Iterator[tuple[str, Part]]:
    """Yield one operation for each consumer group and topic it listens to."""
    declared = {event.type_name(): event for event in events}
    heard: dict[tuple[str, str], list[str]] = defaultdict(list)
    for group, type_name in listeners():
        heard[group, declared[type_name].topic].append(type_name)
    for (group, topic), types in sorted(heard.items()):
        bindings = {"kafka": {"groupId": {"type": "string", "enum": [group]}, **BINDINGS}}
        yield f"{group}.receives.{topic}", {**_operation("receive", topic, sorted(types)), "bindings": bindings}


def _operation(action: str, topic: str, types: list[str]) -> Part:
    messages = [{"$ref": f"#/channels/{topic}/messages/{name}"} for name in types]
    return {"action": action, "channel": {"$ref": f"#/channels/{topic}"}, "messages": messages}


def _message(declared: type[Event], payload: Schema) -> Part:
    own = {"ce_type": {"const": declared.type_name()}, "ce_source": {"const": source_of(declared.type_name()).decode()}}
    return {
        "name": declared.type_name(),
        "title": declared.__name__,
        "description": inspect.cleandoc(declared.__doc__ or ""),
        "headers": {
            "type": "object",
            "allOf": [{"$ref": "#/components/schemas/Envelope"}, {"type": "object", "properties": own}],
        },
        "payload": payload,
        "correlationId": {"location": "$message.header#/ce_correlationid"},
        "bindings": {"kafka": {"key": {**_UUID, "description": f"`{declared.key_field}` of the data."}, **BINDINGS}},
    }


def _by_topic(events: list[type[Event]]) -> dict[str, list[str]]:
    topics: dict[str, list[str]] = defaultdict(list)
    for declared in events:
        topics[declared.topic].append(declared.type_name())
    return topics
