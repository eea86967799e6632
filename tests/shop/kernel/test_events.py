"""Facts: declared once, found by their type, and the same after they have travelled."""

import dataclasses
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest
from jsonschema import Draft202012Validator

from shop.kernel import events
from shop.kernel.events import Event, UserAction, event_class, event_classes, read_event, upcasts
from shop.kernel.ids import new_id
from shop.kernel.money import Money

AT = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _only_declared_by_the_shop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_classes", dict(events._classes))
    monkeypatch.setattr(events, "_upcasters", dict(events._upcasters))


def declared() -> type[Event]:
    class LampLit(Event, topic="lamp.lit", aggregate="lamp", key="lamp_id", version=2):
        """Somebody has lit a lamp."""

        lamp_id: UUID
        price: Money

    return LampLit


def test_a_declared_event_is_found_by_its_versioned_type() -> None:
    lamp_lit = declared()

    assert lamp_lit.type_name() == "lamp.lit.v2"
    assert event_class("lamp.lit.v2") is lamp_lit
    assert event_classes()["lamp.lit.v2"] is lamp_lit


def test_a_type_nobody_declares_is_not_found() -> None:
    with pytest.raises(LookupError):
        event_class("lamp.lit.v9")


def test_the_list_of_events_is_a_copy() -> None:
    event_classes().clear()

    assert event_classes()


def test_an_event_is_the_same_after_its_journey() -> None:
    lamp_lit = declared()
    told = lamp_lit(occurred_at=AT, lamp_id=new_id(), price=Money(100, "EUR"))  # type: ignore[call-arg]  # declared above

    assert lamp_lit.decode(told.encode()) == told


def test_an_event_cannot_be_changed() -> None:
    told = UserAction(occurred_at=AT, user_id=new_id(), guest=True, name="Cart Viewed", properties={})

    with pytest.raises(dataclasses.FrozenInstanceError):
        told.name = "Product Viewed"  # type: ignore[misc]  # what must be refused


def test_the_key_is_the_aggregates_id() -> None:
    user_id = new_id()

    assert UserAction(occurred_at=AT, user_id=user_id, guest=True, name="Cart Viewed", properties={}).key == user_id


def test_a_key_that_is_no_id_is_a_defect() -> None:
    class Nameless(Event, topic="name.less", aggregate="name", key="name"):
        """Its key is a word."""

        name: str

    with pytest.raises(TypeError, match=r"name\.less\.v1\.name must be a UUID"):
        _ = Nameless(occurred_at=AT, name="x").key


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b'{"occurred_at":"yesterday","user_id":"00000000-0000-0000-0000-000000000000","guest":true,"name":"x","properties":{}}',
        b'{"occurred_at":"2026-11-22T12:00:00Z","user_id":"me","guest":true,"name":"x","properties":{}}',
        b'{"occurred_at":"2026-11-22T12:00:00Z","user_id":"00000000-0000-0000-0000-000000000000","guest":1,"name":"x","properties":{}}',
        b'{"occurred_at":"2026-11-22T12:00:00Z","user_id":"00000000-0000-0000-0000-000000000000","guest":true,"name":"x","properties":{"price":1.5}}',
    ],
)
def test_data_of_another_shape_is_refused(data: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        UserAction.decode(data)


def test_a_field_added_later_does_not_trouble_a_reader_of_today() -> None:
    told = UserAction(occurred_at=AT, user_id=new_id(), guest=True, name="Cart Viewed", properties={"sku": "TEA"})
    newer = msgspec.json.decode(told.encode()) | {"channel": "shop window"}

    assert UserAction.decode(msgspec.json.encode(newer)) == told


def test_the_schema_describes_the_data() -> None:
    told = UserAction(occurred_at=AT, user_id=new_id(), guest=True, name="Cart Viewed", properties={"sku": "TEA"})
    judge = Draft202012Validator(UserAction.schema())

    assert judge.is_valid(msgspec.json.decode(told.encode()))
    assert not judge.is_valid({"name": "Cart Viewed"})


def successors() -> type[Event]:
    """Declare today's type, whose first two versions are gone, and how those are read."""

    class LampLit(Event, topic="lamp.lit", aggregate="lamp", key="lamp_id", version=3):
        """Somebody has lit a lamp: the price has its currency since version 2, and colours are many since 3."""

        lamp_id: UUID
        price: Money
        colours: tuple[str, ...]

    @upcasts("lamp.lit.v1", to="lamp.lit.v2")
    def with_currency(data: dict[str, Any]) -> dict[str, Any]:
        return {**data, "price": {"amount": data["price"], "currency": "EUR"}}

    @upcasts("lamp.lit.v2", to="lamp.lit.v3")
    def with_colours(data: dict[str, Any]) -> dict[str, Any]:
        return {**data, "colours": [data["colour"]] if data.get("colour") else []}

    return LampLit


# As earlier deployments have sent them, byte by byte.
EARLIER = [
    ("lamp.lit.v1", b'{"occurred_at": "2026-11-22T12:00:00Z", "lamp_id": "%s", "price": 1, "colour": "red"}'),
    (
        "lamp.lit.v2",
        b"""{"occurred_at": "2026-11-22T12:00:00Z", "lamp_id": "%s",
             "price": {"amount": 1, "currency": "EUR"}, "colour": "red"}""",
    ),
    (
        "lamp.lit.v3",
        b"""{"occurred_at": "2026-11-22T12:00:00Z", "lamp_id": "%s",
             "price": {"amount": 1, "currency": "EUR"}, "colours": ["red"]}""",
    ),
]


@pytest.mark.parametrize(("type_name", "data"), EARLIER)
def test_an_event_of_any_age_is_read_as_todays(type_name: str, data: bytes) -> None:
    lamp_lit, lamp_id = successors(), new_id()

    event = read_event(type_name, data % str(lamp_id).encode())

    assert event == lamp_lit(occurred_at=AT, lamp_id=lamp_id, price=Money(1, "EUR"), colours=("red",))  # type: ignore[call-arg]  # declared above
    assert event_class(type_name) is lamp_lit


def test_a_field_that_was_not_there_yet_has_its_default() -> None:
    class LampLit(Event, topic="lamp.lit", aggregate="lamp", key="lamp_id"):
        """The colour came later."""

        lamp_id: UUID
        colour: str = "white"

    event = read_event(
        "lamp.lit.v1", b'{"lamp_id": "%s", "occurred_at": "2026-11-22T12:00:00Z"}' % str(UUID(int=1)).encode()
    )

    assert event == LampLit(occurred_at=AT, lamp_id=UUID(int=1), colour="white")


def test_a_type_that_is_still_declared_is_read_as_itself() -> None:
    successors()

    class LampLitOnce(Event, topic="lamp.lit", aggregate="lamp", key="lamp_id"):
        """The first version, told beside the third for a while."""

        lamp_id: UUID
        price: int

    event = read_event("lamp.lit.v1", EARLIER[0][1] % str(UUID(int=1)).encode())

    assert event == LampLitOnce(occurred_at=AT, lamp_id=UUID(int=1), price=1)


@pytest.mark.parametrize("data", [b"", b"[]", b'{"price": 1, "colour": "red", "lamp_id": "?", "occurred_at": ""}'])
def test_data_of_an_earlier_type_may_be_unfit_too(data: bytes) -> None:
    successors()

    with pytest.raises(msgspec.DecodeError):
        read_event("lamp.lit.v1", data)


def test_a_type_nobody_reads_is_not_found() -> None:
    successors()

    with pytest.raises(LookupError):
        read_event("lamp.lit.v9", b"{}")
