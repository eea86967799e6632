"""Every change of a released type that would break somebody is refused in a sentence; what only adds is not."""

import types
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

import pytest

from integrations.kafka.contracts.changes import refused_changes
from integrations.kafka.contracts.schemas import Schema, schema_of
from shop.kernel import events
from shop.kernel.events import Event
from shop.kernel.money import Money

NO_DEFAULT = object()


@dataclass
class Part:
    """A part of a lamp."""

    sku: str
    count: int


@dataclass
class ColouredPart(Part):
    """A part whose colour was added."""

    colour: str = ""


@dataclass
class NumberedPart:
    """A part whose article number has become a number."""

    sku: int
    count: int


BASE: dict[str, Any] = {
    "lamp_id": UUID,
    "price": Money,
    "note": (str, ""),
    "colour": Literal["red", "blue"],
    "parts": tuple[Part, ...],
    "tags": dict[str, str | int],
    "seller": UUID | None,
}


@pytest.fixture(autouse=True)
def _only_declared_by_the_shop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_classes", dict(events._classes))


def schema(fields: dict[str, Any], **declared: Any) -> Schema:
    """Return the schema of a type with these fields: a type each, or a pair of type and default."""
    pairs = {name: kind if isinstance(kind, tuple) else (kind, NO_DEFAULT) for name, kind in fields.items()}

    def body(namespace: dict[str, Any]) -> None:
        namespace["__annotations__"] = {name: kind for name, (kind, _) in pairs.items()}
        namespace.update({name: default for name, (_, default) in pairs.items() if default is not NO_DEFAULT})

    words = {"topic": "lamp.lit", "aggregate": "lamp", "key": "lamp_id", **declared}
    declared_class: type[Event] = types.new_class("LampLit", (Event,), words, body)
    return schema_of(declared_class)


def changed(**fields: Any) -> dict[str, Any]:
    """Return the fields with some of them changed, added or (None) removed."""
    return {name: kind for name, kind in {**BASE, **fields}.items() if kind is not None}


def refused(after: Schema | None) -> list[str]:
    return refused_changes(
        released={"lamp.lit.v1": schema(BASE)}, today={} if after is None else {"lamp.lit.v1": after}
    )


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"channel": (str, "web")},
        {"channel": (str | None, None)},
        {"parts": tuple[ColouredPart, ...]},
    ],
    ids=["nothing", "a field with a default", "a field that may be null", "a field of a part"],
)
def test_what_only_adds_is_allowed(fields: dict[str, Any]) -> None:
    assert refused(schema(changed(**fields))) == []


def test_a_new_type_is_allowed() -> None:
    released = {"lamp.lit.v1": schema(BASE)}

    assert (
        refused_changes(released=released, today=released | {"lamp.lit.v2": schema({"lamp_id": UUID}, version=2)}) == []
    )


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"price": None}, "price is gone or has another name"),
        ({"price": None, "cost": (Money | None, None)}, "price is gone or has another name"),
        ({"channel": str}, "channel is new and has no default, so events of the log cannot be read"),
        ({"note": str}, "note could be missing and is required now, so events of the log cannot be read"),
        (
            {"lamp_id": (UUID, UUID(int=0))},
            "lamp_id was always there and may be missing now, while readers count on it",
        ),
        ({"note": (int, 0)}, "note was string and is integer"),
        ({"lamp_id": str}, "lamp_id was string (format=uuid) and is string"),
        ({"price": Money | None}, "price was object and is null or object"),
        ({"seller": UUID}, "seller was null or string (format=uuid) and is string (format=uuid)"),
        ({"colour": str}, "colour was one of a set and is string"),
        ({"colour": Literal["red"]}, "colour can no longer be 'blue'"),
        ({"colour": Literal["red", "blue", "pink"]}, "colour can now be 'pink', which its readers refuse"),
        ({"tags": dict[str, str]}, "tags.* was integer or string and is string"),
        ({"parts": tuple[Money, ...]}, "parts[].amount is new and has no default, so events of the log cannot be read"),
        ({"parts": tuple[NumberedPart, ...]}, "parts[].sku was string and is integer"),
    ],
)
def test_what_breaks_a_reader_is_refused_in_a_sentence(fields: dict[str, Any], sentence: str) -> None:
    assert f"lamp.lit.v1: {sentence}; make it a .v2 type of lamp.lit." in refused(schema(changed(**fields)))


@pytest.mark.parametrize(
    ("declared", "sentence"),
    [
        ({"topic": "lamp.burning"}, "its topic was lamp.lit and is lamp.burning"),
        ({"key": "order_id"}, "its key was lamp_id and is order_id"),
    ],
)
def test_another_topic_or_key_is_refused(declared: dict[str, str], sentence: str) -> None:
    assert refused(schema(BASE, **declared)) == [f"lamp.lit.v1: {sentence}; make it a .v2 type of lamp.lit."]


def test_a_type_that_goes_is_refused() -> None:
    assert refused(None) == ["lamp.lit.v1 is gone: keep it until nobody reads it any more and the log holds none."]


def test_all_that_is_wrong_is_told_at_once() -> None:
    after = schema(changed(price=None, note=(int, 0)))

    assert len(refused(after)) == 2
