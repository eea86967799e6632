"""The shape of a fact. Each context lists its own in `events.py`: frozen, versioned, framework-free.

An event carries ids, instants and minor units; never an e-mail, a name, an address, card data or a secret.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Self, dataclass_transform
from uuid import UUID

import msgspec

_classes: dict[str, type["Event"]] = {}

# Data of an earlier type, as JSON has it, to data of its successor.
Upcaster = Callable[[dict[str, Any]], dict[str, Any]]
_upcasters: dict[str, tuple[str, Upcaster]] = {}


@dataclass_transform(frozen_default=True, kw_only_default=True)
@dataclass(frozen=True, kw_only=True)
class Event:
    """A fact that happened. Subclasses are declared with `class OrderPaid(Event, topic="order.paid")`.

    `key` names the field whose value orders the events of one topic; it is the aggregate's id as well, so
    the aggregate's sequence and the order on the wire are one and the same.
    """

    topic: ClassVar[str]
    version: ClassVar[int]
    aggregate: ClassVar[str]
    key_field: ClassVar[str]

    occurred_at: datetime

    def __init_subclass__(cls, *, topic: str, aggregate: str, key: str, version: int = 1) -> None:
        cls.topic, cls.version, cls.aggregate, cls.key_field = topic, version, aggregate, key
        dataclass(frozen=True, kw_only=True)(cls)
        _classes[cls.type_name()] = cls

    @classmethod
    def type_name(cls) -> str:
        """Return the versioned type, such as `order.created.v1`."""
        return f"{cls.topic}.v{cls.version}"

    @property
    def key(self) -> UUID:
        """The id whose events stay in order."""
        value = getattr(self, self.key_field)
        if not isinstance(value, UUID):
            raise TypeError(f"{self.type_name()}.{self.key_field} must be a UUID.")
        return value

    def encode(self) -> bytes:
        """Write the data as JSON."""
        return msgspec.json.encode(self)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read the data back; `msgspec.ValidationError` when it does not fit the declared shape."""
        return msgspec.json.decode(data, type=cls)

    @classmethod
    def schema(cls) -> dict[str, Any]:
        """Return the JSON Schema of the data."""
        return msgspec.json.schema(cls)


def event_class(type_name: str) -> type[Event]:
    """Return the class that reads a versioned type: its own, or that of its successor once nobody declares it.

    LookupError for a type nobody here can read.
    """
    while type_name not in _classes:
        type_name, _ = _upcasters[type_name]
    return _classes[type_name]


def event_classes() -> dict[str, type[Event]]:
    """Return every declared event by its versioned type."""
    return dict(_classes)


def upcasts(earlier: str, *, to: str) -> Callable[[Upcaster], Upcaster]:
    """Let the decorated function read an earlier type: `@upcasts("order.created.v1", to="order.created.v2")`.

    It stands beside the successor's class. While the earlier type is declared, too, it is read as itself; once its
    class is gone, what is left of it on Kafka, in the parking place and in the log becomes its successor.
    """

    def register(upcaster: Upcaster) -> Upcaster:
        _upcasters[earlier] = (to, upcaster)
        return upcaster

    return register


def read_event(type_name: str, data: bytes) -> Event:
    """Read the data of a versioned type, whatever its age; `msgspec.DecodeError` when it does not fit.

    LookupError for a type nobody here can read.
    """
    while type_name not in _classes:
        type_name, upcast = _upcasters[type_name]
        data = msgspec.json.encode(upcast(msgspec.json.decode(data, type=dict[str, Any])))
    return _classes[type_name].decode(data)


class UserAction(Event, topic="analytics.events", aggregate="shopper", key="user_id"):
    """Something a shopper did, in the words of Segment's e-commerce spec (`Product Added`).

    `properties` holds ids, counts and minor units only.
    """

    user_id: UUID
    guest: bool
    name: str
    properties: dict[str, str | int | bool | None]
