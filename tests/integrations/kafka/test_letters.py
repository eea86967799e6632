"""Dead letters: listed, tried again when the code is mended, and left alone when nobody can read them."""

from datetime import datetime
from uuid import UUID

import pytest
from django.core.management import CommandError
from pytest_django.fixtures import Settings

from integrations.kafka import inbox, parking
from integrations.kafka.delivery import deliver
from integrations.kafka.envelope import Arrived
from integrations.kafka.groups import Group
from integrations.kafka.inbox import Aside
from integrations.kafka.models import Inbox, Parked, Replay
from shop.kernel.ids import new_id
from shop.kernel.transactions import open_unit_of_work
from tests.integrations.kafka import effects
from tests.integrations.kafka.conftest import tell
from tests.integrations.kafka.replay.commands import run
from tests.integrations.kafka.test_delivery import told

ONE, TWO = new_id(), new_id()


def dead_letter(group: Group, now: datetime) -> Parked:
    effects.poisoned.add(TWO)
    tell(TWO, TWO)
    deliver(group=group, events=[event for event in told() if event.key == str(TWO)], now=now)
    first = Parked.objects.earliest("id")
    Parked.objects.filter(id=first.id).update(state="dead", attempts=8)
    effects.poisoned.clear()
    return first


def test_dead_letters_are_listed_with_their_reason(listening: Group, now: datetime) -> None:
    letter = dead_letter(listening, now)

    printed = run("list_dead_letters")

    assert str(letter.event_id) in printed
    assert "ValueError: This key is poisoned." in printed
    assert "1 dead letter." in printed
    assert "0 dead letters." in run("list_dead_letters", "--type", "order.created.v1")
    assert "1 dead letter." in run("list_dead_letters", "--limit", "0")


def test_redrive_is_a_dry_run_until_told_otherwise(listening: Group, now: datetime) -> None:
    letter = dead_letter(listening, now)

    assert "Dry run: 1 would be tried again" in run("redrive", "--id", str(letter.id))
    assert effects.effects(TWO) == []

    assert "1 tried again, 2 events handled" in run("redrive", "--consumer", listening.name, "--execute")
    assert effects.effects(TWO) == [(TWO, 1), (TWO, 2)]
    assert Inbox.objects.count() == 2


@pytest.mark.parametrize("command", ["list_dead_letters", "redrive"])
@pytest.mark.parametrize(
    ("flag", "name"), [("--consumer", "somebody-else"), ("--consumer", ""), ("--type", "order.creatd.v1")]
)
def test_nobody_and_nothing_have_no_letters_to_be_counted(
    command: str, flag: str, name: str, listening: Group, now: datetime
) -> None:
    dead_letter(listening, now)

    with pytest.raises(CommandError, match=f"There is no {flag[2:]} called {name}; there are"):
        run(command, flag, name)


def test_letters_of_a_consumer_that_is_gone_are_found(listening: Group, now: datetime) -> None:
    dead_letter(listening, now)
    Parked.objects.update(consumer="gone", type="order.shipped.v1")

    assert "1 dead letter." in run("list_dead_letters", "--consumer", "gone", "--type", "order.shipped.v1")


@pytest.mark.parametrize("limit", ["-1", "all", ""])
def test_a_limit_is_a_number(limit: str, listening: Group) -> None:
    with pytest.raises(CommandError, match="is not a number such as 100"):
        run("list_dead_letters", f"--limit={limit}")


def test_redrive_wants_some_time_between_since_and_until(listening: Group) -> None:
    with pytest.raises(CommandError, match="--since is not before --until"):
        run("redrive", "--since", "2026-11-28T00:00Z", "--until", "2026-11-27T00:00Z")


def test_redrive_wants_a_choice(listening: Group) -> None:
    with pytest.raises(CommandError, match="--all"):
        run("redrive")


def test_replay_of_dead_letters_keeps_an_audit_row(listening: Group, now: datetime) -> None:
    dead_letter(listening, now)

    run("replay_events", "--dead", "--consumer", listening.name, "--execute", "--expect", "1", "--reason", "mended")

    assert effects.effects(TWO) == [(TWO, 1), (TWO, 2)]
    audit = Replay.objects.get()
    assert (audit.delivered, audit.parked, audit.outcome) == (2, 0, "done")


@pytest.fixture
def raw(listening: Group, now: datetime) -> Parked:
    """What somebody else wrote to our topic, with the key of one of our shoppers."""
    event = Arrived(id=UUID(int=7), type="", key=str(TWO), data=b"\xff", topic="analytics.events", headers={"x": "1"})
    aside = Aside(event=event, state=Parked.State.DEAD, attempts=1, next_attempt_at=now, error="Not a CloudEvent.")
    with open_unit_of_work():
        inbox.park(consumer=listening.name, asides=[aside], now=now)
    return Parked.objects.get()


def test_what_nobody_can_read_is_listed_and_left_alone(raw: Parked, listening: Group, now: datetime) -> None:
    listed = run("list_dead_letters")
    printed = run("redrive", "--all", "--execute")

    assert "(unreadable)" in listed
    assert "Not a CloudEvent." in listed
    assert "Left alone, since nobody can read them: 1." in printed
    assert "0 tried again" in printed
    raw.refresh_from_db()
    assert (raw.state, raw.attempts) == ("dead", 1)
    tell(TWO)
    deliver(group=listening, events=told(), now=now)
    assert effects.effects(TWO) == [(TWO, 1)]


def test_what_the_code_has_learned_to_read_is_handled(raw: Parked, listening: Group, now: datetime) -> None:
    tell(TWO)
    (event,) = told()
    Parked.objects.update(headers=event.headers, value=event.data)

    assert "1 tried again, 1 events handled" in run("redrive", "--id", str(raw.id), "--execute")

    assert effects.effects(TWO) == [(TWO, 1)]


def test_mended_a_letter_is_handled_and_other_keys_have_flowed(listening: Group, now: datetime) -> None:
    letter = dead_letter(listening, now)
    tell(ONE, start=9)
    deliver(group=listening, events=told(), now=now)
    assert effects.effects(ONE) == [(ONE, 9)]

    run("redrive", "--event-id", str(letter.event_id), "--execute")

    assert effects.effects(TWO) == [(TWO, 1), (TWO, 2)]
    assert not Parked.objects.exists()


def test_one_that_still_fails_waits_again_with_its_reason(listening: Group, now: datetime) -> None:
    letter = dead_letter(listening, now)
    effects.poisoned.add(TWO)

    assert "1 tried again, 0 events handled" in run("redrive", "--key", str(TWO), "--execute")

    letter.refresh_from_db()
    assert (letter.state, letter.attempts) == ("waiting", 1)
    assert effects.effects(TWO) == []


def test_the_admin_revives_no_unreadable_ones_either(raw: Parked, now: datetime) -> None:
    assert parking.revive(parked_ids=[raw.id], now=now) == 0


def test_a_dry_run_says_what_reaches_outside(listening: Group, now: datetime, settings: Settings) -> None:
    settings.OUTSIDE_EFFECTS = {listening.name: {"analytics.events.v1": ("mail",)}}
    dead_letter(listening, now)

    assert "would cause: mail" in run("redrive", "--all")
