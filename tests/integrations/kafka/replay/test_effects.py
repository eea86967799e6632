"""What reaches outside the shop is done by a replay only where it is allowed by name."""

from datetime import datetime

import pytest
from django.conf import settings as configured
from django.core.management import CommandError
from pytest_django.fixtures import Settings

from integrations.kafka.delivery import deliver
from integrations.kafka.groups import Group, group_names
from integrations.kafka.models import Parked, Replay
from shop.kernel.ids import new_id
from tests.integrations.kafka import effects
from tests.integrations.kafka.conftest import tell
from tests.integrations.kafka.replay.commands import run
from tests.integrations.kafka.test_delivery import told

KEY = new_id()


@pytest.fixture
def mailing(listening: Group, settings: Settings) -> Group:
    """A consumer that writes mails, with four events it has not heard."""
    settings.OUTSIDE_EFFECTS = {listening.name: {"analytics.events.v1": ("mail",)}}
    tell(*[KEY] * 4)
    return listening


def test_a_dry_run_says_what_is_held_back_and_how_to_allow_it(mailing: Group) -> None:
    printed = run("replay_events", "--consumer", mailing.name)

    assert f"To deliver to {mailing.name}: 0" in printed
    assert "Held back, since handling them reaches outside the shop: 4" in printed
    assert "would cause: mail (--allow-effect mail)" in printed


def test_what_is_held_back_is_not_delivered(mailing: Group) -> None:
    run("replay_events", "--consumer", mailing.name, "--execute", "--expect", "0", "--reason", "none allowed")

    assert effects.effects(KEY) == []


def test_what_is_allowed_by_name_is_delivered_and_the_name_is_kept(mailing: Group) -> None:
    allowed = ["--consumer", mailing.name, "--allow-effect", "mail"]
    assert "Outside the shop they cause, for the first time: mail by 4 events" in run("replay_events", *allowed)

    run("replay_events", *allowed, "--execute", "--expect", "4", "--reason", "they were promised")

    assert len(effects.effects(KEY)) == 4
    assert Replay.objects.get().effects == ["mail"]


def test_one_effect_allowed_allows_no_other(mailing: Group, settings: Settings) -> None:
    settings.OUTSIDE_EFFECTS = {mailing.name: {"analytics.events.v1": ("mail", "gateway")}}

    printed = run("replay_events", "--consumer", mailing.name, "--allow-effect", "mail")

    assert "would cause: gateway, mail (--allow-effect gateway --allow-effect mail)" in printed


def test_an_effect_nobody_has_is_refused(mailing: Group) -> None:
    with pytest.raises(CommandError, match="There is no effect called fax; there are mail"):
        run("replay_events", "--consumer", mailing.name, "--allow-effect", "fax")


def test_dead_letters_are_held_back_as_well(mailing: Group, now: datetime) -> None:
    effects.poisoned.add(KEY)
    deliver(group=mailing, events=told(), now=now)
    Parked.objects.update(state="dead")
    effects.poisoned.clear()
    dead = ["--dead", "--consumer", mailing.name]

    printed = run("replay_events", *dead, "--execute", "--expect", "0", "--reason", "none allowed")
    assert "Held back, since handling them reaches outside the shop: 4" in printed
    assert effects.effects(KEY) == []

    run("replay_events", *dead, "--allow-effect", "mail", "--execute", "--expect", "4", "--reason", "allowed")
    assert len(effects.effects(KEY)) == 4


def test_every_consumer_says_what_it_does_outside() -> None:
    assert sorted(configured.OUTSIDE_EFFECTS) == sorted(group_names())
    for name, types in configured.OUTSIDE_EFFECTS.items():
        assert set(types) <= set(configured.CONSUMERS[name])
