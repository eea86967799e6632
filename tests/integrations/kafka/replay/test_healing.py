from datetime import datetime, timedelta
from io import StringIO
from threading import Event

import pytest
from django.core.management import CommandError, call_command

from integrations.kafka.delivery import deliver
from integrations.kafka.envelope import of_log
from integrations.kafka.groups import Group
from integrations.kafka.models import Inbox, Parked, Replay
from integrations.kafka.replay.audit import Mode, Order, begin
from integrations.kafka.replay.pace import Pace
from integrations.kafka.replay.running import carry_out
from integrations.kafka.republish import republish_unheard
from shop.kernel.clock import utc_now
from shop.kernel.ids import new_id
from shop.kernel.outbox import log as event_log
from shop.kernel.outbox import queue
from shop.kernel.outbox.log import Selection
from shop.kernel.outbox.models import PendingEvent
from tests.integrations.kafka import effects
from tests.integrations.kafka.conftest import tell
from tests.integrations.kafka.test_delivery import told

ONE, TWO = new_id(), new_id()


def run(name: str, *arguments: str) -> str:
    """Run a command and return what it printed."""
    output = StringIO()
    call_command(name, *arguments, stdout=output, stderr=output)
    return output.getvalue()


@pytest.fixture
def holes(listening: Group, now: datetime) -> Group:
    """Ten events of which the consumer has handled the even ones."""
    tell(*[ONE] * 10)
    deliver(group=listening, events=told()[1::2], now=now)
    return listening


def test_dry_run_counts_and_changes_nothing(holes: Group) -> None:
    printed = run("replay_events", "--consumer", holes.name)

    assert "Selected from the log: 10 events" in printed
    assert f"To deliver to {holes.name}: 5" in printed
    assert "left alone: 5" in printed
    assert "To be repeated: 0" in printed
    assert "Dry run" in printed
    assert len(effects.effects(ONE)) == 5
    assert not Replay.objects.exists()


def test_heal_delivers_the_holes_and_only_them(holes: Group) -> None:
    printed = run(
        "replay_events", "--consumer", holes.name, "--execute", "--expect", "5", "--reason", "deployment of v3"
    )

    assert "Delivered 5, parked 0, already there 0." in printed
    assert sorted(effects.effects(ONE)) == [(ONE, n) for n in range(1, 11)]
    audit = Replay.objects.get()
    assert (audit.delivered, audit.repeated, audit.expected, audit.outcome) == (5, 0, 5, "done")
    assert (audit.reason, audit.consumers, audit.mode) == ("deployment of v3", [holes.name], "heal")
    assert audit.finished_at is not None


def test_healing_twice_finds_nothing_left(holes: Group) -> None:
    run("replay_events", "--consumer", holes.name, "--execute", "--expect", "5", "--reason", "once")

    printed = run("replay_events", "--consumer", holes.name, "--execute", "--expect", "0", "--reason", "twice")

    assert "Delivered 0" in printed
    assert len(effects.effects(ONE)) == 10


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "Name the destination"),
        (["--consumer", "nobody"], "no consumer called nobody"),
        (["--all-consumers"], "--yes-all-consumers"),
        (["--all-consumers", "--yes-all-consumers", "--execute", "--expect", "5"], "--reason"),
        (["--all-consumers", "--yes-all-consumers", "--execute", "--reason", "r"], "--expect"),
        (["--all-consumers", "--yes-all-consumers", "--execute", "--reason", "r", "--expect", "4"], "found 5"),
        (["--all-consumers", "--yes-all-consumers", "--since", "yesterday"], "not an instant"),
    ],
)
def test_replay_refuses_what_is_not_said_clearly(holes: Group, arguments: list[str], complaint: str) -> None:
    with pytest.raises(CommandError, match=complaint):
        run("replay_events", *arguments)

    assert len(effects.effects(ONE)) == 5
    assert not Replay.objects.exists()


def test_selection_narrows(listening: Group) -> None:
    first, second = tell(ONE, TWO)
    logged = next(event_log.chunks(Selection(), size=10))

    def found(selection: Selection) -> list[object]:
        return [event.id for chunk in event_log.chunks(selection, size=1) for event in chunk]

    assert found(Selection()) == [first, second]
    assert found(Selection(event_ids=(second,))) == [second]
    assert found(Selection(key=ONE)) == [first]
    assert found(Selection(types=("order.created.v1",))) == []
    assert found(Selection(aggregate="shopper")) == [first, second]
    assert found(Selection(aggregate="order")) == []
    assert found(Selection(correlation_id=logged[0].headers["correlationid"])) == [first, second]
    assert found(Selection(correlation_id="another")) == []


def test_selection_by_time_is_by_when_it_was_told(listening: Group) -> None:
    (event_id,) = tell(ONE)
    now = utc_now()

    def found(selection: Selection) -> list[object]:
        return [event.id for chunk in event_log.chunks(selection, size=1) for event in chunk]

    assert found(Selection(since=now - timedelta(minutes=1), until=now + timedelta(minutes=1))) == [event_id]
    assert found(Selection(since=now + timedelta(minutes=1))) == []
    assert found(Selection(until=now - timedelta(minutes=1))) == []


def begun(group: Group, *, expected: int) -> Replay:
    return begin(
        Order(
            mode=Mode.HEAL, selection=Selection(), consumers=[group.name], who="test", reason="test", expected=expected
        )
    )


def unhurried() -> Pace:
    return Pace(per_second=1_000, stop=Event(), say=print)


def test_a_hole_that_cannot_be_handled_is_parked_and_counted(holes: Group) -> None:
    effects.poisoned.add(ONE)
    audit = begun(holes, expected=5)

    carry_out(audit=audit, pace=unhurried(), progress=lambda _: None)

    assert (audit.delivered, audit.parked) == (0, 5)
    assert Parked.objects.count() == 5


def test_an_interrupted_replay_says_so_and_goes_on_later(holes: Group) -> None:
    def stop(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        carry_out(audit=begun(holes, expected=5), pace=unhurried(), progress=stop)

    audit = Replay.objects.get()
    assert (audit.outcome, audit.delivered) == ("interrupted: KeyboardInterrupt", 5)


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
    assert "0 dead letters." in run("list_dead_letters", "--consumer", "somebody-else")


def test_redrive_is_a_dry_run_until_told_otherwise(listening: Group, now: datetime) -> None:
    letter = dead_letter(listening, now)

    assert "Dry run: 1 would be tried again" in run("redrive", "--id", str(letter.id))
    assert effects.effects(TWO) == []

    assert "1 tried again, 2 events handled" in run("redrive", "--consumer", listening.name, "--execute")
    assert effects.effects(TWO) == [(TWO, 1), (TWO, 2)]
    assert Inbox.objects.count() == 2


def test_redrive_wants_a_choice(listening: Group) -> None:
    with pytest.raises(CommandError, match="--all"):
        run("redrive")


def test_replay_of_dead_letters_keeps_an_audit_row(listening: Group, now: datetime) -> None:
    dead_letter(listening, now)

    run("replay_events", "--dead", "--consumer", listening.name, "--execute", "--expect", "1", "--reason", "mended")

    assert effects.effects(TWO) == [(TWO, 1), (TWO, 2)]
    audit = Replay.objects.get()
    assert (audit.delivered, audit.parked, audit.outcome) == (2, 0, "done")


def test_after_a_forgetful_broker_only_what_was_not_heard_is_sent_again(holes: Group) -> None:
    PendingEvent.objects.all().delete()

    assert republish_unheard(seconds=3_600) == 5

    again = [row.event_id for row in queue.read(shards=range(64), in_flight=[], limit=100)]
    assert again == [event.id for event in told()[0::2]]
    assert republish_unheard(seconds=3_600) == 0


def test_replayed_events_carry_what_kafka_would_have_brought(listening: Group) -> None:
    (event_id,) = tell(ONE)
    (event,) = next(event_log.chunks(Selection(), size=10))

    arrived = of_log(event)

    assert (arrived.id, arrived.key, arrived.topic) == (event_id, str(ONE), "analytics.events")
    assert arrived.headers["ce_sequence"] == "1"
