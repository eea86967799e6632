"""The shape of a fact. Each context lists its own in `events.py`: frozen, versioned, framework-free.

An event carries ids, instants and minor units; never an e-mail, a name, an address, card data or a secret.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Self, dataclass_transform
from uuid import UUID

import msgspec

_classes: dict[str, type["Event"]] = {}


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
    """Return the class of a versioned type; LookupError for a type nobody here declares."""
    return _classes[type_name]


def event_classes() -> dict[str, type[Event]]:
    """Return every declared event by its versioned type."""
    return dict(_classes)


class UserAction(Event, topic="analytics.events", aggregate="shopper", key="user_id"):
    """Something a shopper did, in the words of Segment's e-commerce spec (`Product Added`).

    `properties` holds ids, counts and minor units only.
    """

    user_id: UUID
    guest: bool
    name: str
    properties: dict[str, str | int | bool | None]
