"""CloudEvents 1.0 in Kafka's binary mode: what is known about an event travels in headers, the value is its data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from uuid import UUID

import msgspec

from integrations.kafka.client import Headers, Received
from integrations.kafka.errors import Unreadable
from shop.kernel.clock import rfc3339
from shop.kernel.events import event_class
from shop.kernel.outbox.dto import Told

# As the log names them, or the queue in the case of a replay, and as Kafka's headers do.
_EXTENSIONS = (
    ("correlationid", "ce_correlationid"),
    ("causationid", "ce_causationid"),
    ("replayid", "ce_replayid"),
    ("replaytarget", "ce_replaytarget"),
    ("traceparent", "traceparent"),
)
# Parked events are found by key, and PostgreSQL indexes no more than 2,704 bytes of a row.
_LONGEST_KEY_BYTES = 1_000
_FIXED = (("ce_specversion", b"1.0"), ("content-type", b"application/json"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """An event on its way to handlers, wherever it came from: Kafka, the parking place or the log."""

    id: UUID
    type: str
    key: str
    data: bytes
    topic: str
    correlation_id: str = ""
    traceparent: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def is_for(self, consumer: str) -> bool:
        """Whether this consumer is to take it: a replay may have sent it to another one."""
        return self.headers.get("ce_replaytarget", consumer) == consumer


def headers_of(told: Told) -> Headers:
    """Return the headers of a fact: CloudEvents' own, its extensions, and W3C's traceparent as it is."""
    headers = [
        *_FIXED,
        ("ce_id", str(told.id).encode()),
        ("ce_type", told.type.encode()),
        ("ce_source", source_of(told.type)),
        ("ce_subject", str(told.key).encode()),
        ("ce_time", rfc3339(told.occurred_at).encode()),
        ("ce_sequence", b"%d" % told.sequence),
    ]
    for known, name in _EXTENSIONS:
        if value := told.headers.get(known):
            headers.append((name, value.encode()))
    return headers


def structured(told: Told) -> bytes:
    """Write a fact as one JSON document: CloudEvents' structured mode, the data inside as they are."""
    attributes: dict[str, Any] = {
        name.removeprefix("ce_"): value.decode() for name, value in headers_of(told) if name != "content-type"
    }
    return msgspec.json.encode(
        attributes | {"datacontenttype": "application/json", "data": msgspec.Raw(told.data)},
    )


@cache
def source_of(type_name: str) -> bytes:
    """Return the context that declares a type, as a URI reference: `/shop/orders`."""
    try:
        module = event_class(type_name).__module__
    except LookupError:
        return b"/shop"
    parts = [part for part in module.split(".")[:-1] if part not in {"shop", "kernel"}]
    return "/".join(["", "shop", *parts]).encode()


def arrived(received: Received) -> Arrived:
    """Read the headers of a record; Unreadable when they do not make a CloudEvent. The data is left as it is."""
    if received.flaw:
        raise Unreadable(received.flaw)
    try:
        headers = {name: value.decode() for name, value in received.headers.items()}
        key = received.key.decode()
    except UnicodeDecodeError as error:
        raise Unreadable(f"Headers or key are not UTF-8: {error}") from error
    if any("\0" in text for text in (key, *headers.values())):
        raise Unreadable("A zero byte in headers or key: the database cannot keep it.")
    return of_headers(_unfolded(headers), key=key, data=received.value, topic=received.topic)


def _unfolded(headers: dict[str, str]) -> dict[str, str]:
    """Return the headers with those in place that Debezium can only pass on as it found them: one column, JSON."""
    if "ce_trace" not in headers:
        return headers
    try:
        trace = msgspec.json.decode(headers["ce_trace"], type=dict[str, str])
    except msgspec.DecodeError as error:
        raise Unreadable(f"ce_trace is no JSON object of texts: {error}") from error
    named = {name if name == "traceparent" else f"ce_{name}": value for name, value in trace.items()}
    return {name: value for name, value in headers.items() if name != "ce_trace"} | named


def of_headers(headers: Mapping[str, str], *, key: str, data: bytes, topic: str) -> Arrived:
    """Put an event together from its headers; Unreadable when one is missing or wrong, or the key too long."""
    if len(key.encode()) > _LONGEST_KEY_BYTES:
        raise Unreadable(f"A key of more than {_LONGEST_KEY_BYTES} bytes is no order's and no shopper's.")
    try:
        event_id, type_name = UUID(headers["ce_id"]), headers["ce_type"]
    except (KeyError, ValueError) as error:
        raise Unreadable(f"Not a CloudEvent in binary mode: {error}") from error
    return Arrived(
        id=event_id,
        type=type_name,
        key=key,
        data=data,
        topic=topic,
        correlation_id=headers.get("ce_correlationid", ""),
        traceparent=headers.get("traceparent", ""),
        headers=dict(headers),
    )


def of_log(told: Told) -> Arrived:
    """Put an event together from the log, as if Kafka had brought it."""
    headers = {name: value.decode() for name, value in headers_of(told)}
    return of_headers(headers, key=str(told.key), data=told.data, topic=told.topic)
