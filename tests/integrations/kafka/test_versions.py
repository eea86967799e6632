"""A type and its successor, told side by side and heard apart; and what is left of a type that is gone."""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
from django.core.management import call_command
from pytest_django.fixtures import Settings

from integrations.kafka.delivery import deliver
from integrations.kafka.envelope import of_log
from integrations.kafka.groups import Group
from shop.kernel import events
from shop.kernel.events import Event, upcasts
from shop.kernel.ids import new_id
from shop.kernel.outbox import log as event_log
from shop.kernel.outbox.services import publish
from shop.kernel.transactions import open_unit_of_work
from tests.shop.kernel.outbox.factories import AT

pytestmark = pytest.mark.django_db


heard: list[Event] = []


@pytest.fixture(autouse=True)
def _only_declared_by_the_shop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_classes", dict(events._classes))
    monkeypatch.setattr(events, "_upcasters", dict(events._upcasters))
    heard.clear()


def first_version() -> Callable[..., Event]:
    class LampLit(Event, topic="lamp.lit", aggregate="lamp", key="lamp_id"):
        """Somebody has lit a lamp."""

        lamp_id: UUID
        watts: int

    return LampLit


def second_version() -> Callable[..., Event]:
    class LampLitAgain(Event, topic="lamp.lit", aggregate="lamp", key="lamp_id", version=2):
        """Somebody has lit a lamp; its power has a unit."""

        lamp_id: UUID
        power: str

    @upcasts("lamp.lit.v1", to="lamp.lit.v2")
    def with_unit(data: dict[str, Any]) -> dict[str, Any]:
        return {**data, "power": f"{data['watts']} W"}

    return LampLitAgain


def tell(*told: Event) -> None:
    with open_unit_of_work():
        for event in told:
            publish(event)


def note(*, event: Event, event_id: UUID) -> None:
    """Remember what was heard."""
    heard.append(event)


def listening(*type_names: str) -> Group:
    return Group(name="+".join(type_names), handlers=dict.fromkeys(type_names, note))


def test_two_versions_are_told_side_by_side_and_each_group_hears_its_own(now: datetime) -> None:
    old, new, lamp_id = first_version(), second_version(), new_id()
    fact = [old(occurred_at=AT, lamp_id=lamp_id, watts=5), new(occurred_at=AT, lamp_id=lamp_id, power="5 W")]
    tell(*fact)
    both = event_log.of_key(lamp_id)

    for version in ("lamp.lit.v1", "lamp.lit.v2"):
        deliver(group=listening(version), events=[of_log(told) for told in both], now=now)

    assert [(told.topic, told.type, told.sequence) for told in both] == [
        ("lamp.lit", "lamp.lit.v1", 1),
        ("lamp.lit", "lamp.lit.v2", 2),
    ]
    assert heard == fact


def test_what_is_left_of_a_type_that_is_gone_is_heard_as_its_successor(now: datetime) -> None:
    lamp_id = new_id()
    tell(first_version()(occurred_at=AT, lamp_id=lamp_id, watts=5))
    del events._classes["lamp.lit.v1"]
    today = second_version()(occurred_at=AT, lamp_id=lamp_id, power="5 W")
    group = listening("lamp.lit.v1", "lamp.lit.v2")

    deliver(group=group, events=[of_log(told) for told in event_log.of_key(lamp_id)], now=now)

    assert heard == [today]
    assert group.topics == ["lamp.lit"]


def test_so_is_what_a_replay_finds_in_the_log(settings: Settings) -> None:
    lamp_id = new_id()
    tell(first_version()(occurred_at=AT, lamp_id=lamp_id, watts=5))
    del events._classes["lamp.lit.v1"]
    today = second_version()(occurred_at=AT, lamp_id=lamp_id, power="5 W")
    consumer = f"lamps-{lamp_id}"
    settings.CONSUMERS = {consumer: dict.fromkeys(["lamp.lit.v1", "lamp.lit.v2"], f"{__name__}.note")}
    wanted = ["--consumer", consumer, "--key", str(lamp_id), "--reason", "a hole", "--execute", "--expect", "1"]

    call_command("replay_events", *wanted)

    assert heard == [today]
