import signal
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event

import pytest
from django.core.management import CommandError
from django.db import OperationalError
from pytest_django.fixtures import Settings

from integrations.analytics.models import DailyCount
from integrations.kafka.delivery import deliver
from integrations.kafka.envelope import of_log
from integrations.kafka.groups import Group
from integrations.kafka.models import Inbox, Parked, Replay
from integrations.kafka.replay import healing
from integrations.kafka.replay.audit import Mode, ReplayRequest, begin, selection_of
from integrations.kafka.replay.pace import Pace, Stopped
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
from tests.integrations.kafka.replay.commands import ended, replaying, run
from tests.integrations.kafka.test_delivery import told

ONE, TWO = new_id(), new_id()


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
        (["--all-consumers", "--yes-all-consumers", "--since", "2026-13-01"], "not an instant"),
        (["--all-consumers", "--yes-all-consumers", "--since", "0001-01-01T00:00+14:00"], "not an instant"),
        (["--all-consumers", "--yes-all-consumers", "--since", "9999-12-31T23:00-14:00"], "not an instant"),
        (
            ["--all-consumers", "--yes-all-consumers", "--since", "2026-11-28", "--until", "2026-11-27"],
            "chooses nothing",
        ),
        (["--all-consumers", "--yes-all-consumers", "--event-id", "7"], "invalid UUID value: '7'"),
        (["--all-consumers", "--yes-all-consumers", "--key", "CEEJ-5P4S-0B"], "invalid UUID value"),
        (["--all-consumers", "--yes-all-consumers", "--type", "order.shipped.v1"], "no event of type order.shipped.v1"),
        (["--all-consumers", "--yes-all-consumers", "--aggregate", "basket"], "no aggregate called basket"),
        (["--all-consumers", "--yes-all-consumers", "--rate", "0"], "one event a second or more"),
        (["--resume", "7"], "invalid UUID value"),
    ],
)
def test_replay_refuses_what_is_not_said_clearly(holes: Group, arguments: list[str], complaint: str) -> None:
    with pytest.raises(CommandError, match=complaint):
        run("replay_events", *arguments)

    assert len(effects.effects(ONE)) == 5
    assert not Replay.objects.exists()


def begun(group: Group, *, expected: int, selection: Selection | None = None) -> Replay:
    return begin(
        ReplayRequest(
            mode=Mode.HEAL,
            selection=selection or Selection(),
            consumers=[group.name],
            who="test",
            reason="test",
            expected=expected,
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


def test_stopped_it_goes_on_under_the_same_audit_row(holes: Group) -> None:
    stop, audit = Event(), begun(holes, expected=5)
    slow = Pace(per_second=20, stop=stop, say=print)
    with pytest.raises(Stopped):
        carry_out(audit=audit, pace=slow, progress=lambda _: stop.set())
    assert list(Replay.objects.values_list("delivered", "outcome")) == [(2, "stopped")]

    printed = run("replay_events", "--resume", str(audit.id))

    assert "Delivered 5, parked 0, already there 0." in printed
    assert list(Replay.objects.values_list("delivered", "outcome")) == [(5, "done")]
    assert sorted(effects.effects(ONE)) == [(ONE, n) for n in range(1, 11)]


def test_resumed_it_selects_what_it_selected_before(holes: Group) -> None:
    tell(TWO, start=11)
    selection = Selection(
        event_ids=tuple(event.id for event in told()),
        types=("analytics.events.v1",),
        aggregate="shopper",
        key=TWO,
        since=utc_now() - timedelta(minutes=1),
        until=utc_now() + timedelta(minutes=1),
    )

    audit = begun(holes, expected=1, selection=selection)

    assert selection_of(Replay.objects.get()) == selection
    assert "Delivered 1," in run("replay_events", "--resume", str(audit.id))
    assert effects.effects(TWO) == [(TWO, 11)]


def test_a_database_that_goes_away_is_one_clear_line_and_the_replay_goes_on_later(
    holes: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(**_: object) -> None:
        raise OperationalError("the connection is lost")

    audit = begun(holes, expected=5)
    with monkeypatch.context() as broken:
        broken.setattr(healing, "deliver", away)
        with pytest.raises(CommandError, match=f"The database is away .*--resume {audit.id}"):
            run("replay_events", "--resume", str(audit.id))

    assert "Delivered 5," in run("replay_events", "--resume", str(audit.id))


def test_what_is_done_or_unknown_is_not_resumed(holes: Group) -> None:
    run("replay_events", "--consumer", holes.name, "--execute", "--expect", "5", "--reason", "once")

    with pytest.raises(CommandError, match="is done: there is nothing to go on with"):
        run("replay_events", "--resume", str(Replay.objects.get().id))
    with pytest.raises(CommandError, match="There is no replay"):
        run("replay_events", "--resume", str(ONE))


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("one_day")
@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_ended_in_the_middle_it_loses_and_doubles_nothing(
    settings: Settings, ending: signal.Signals, tmp_path: Path
) -> None:
    tell(*[ONE] * 60)
    with replaying(tmp_path, "--consumer", "analytics", "--expect", "60") as slow:
        ended(slow, ending)

    audit = Replay.objects.get()
    assert audit.outcome == ("running" if ending == signal.SIGKILL else "stopped")
    assert slow.returncode == (-ending if ending == signal.SIGKILL else 1)
    assert 4 <= Inbox.objects.count() < 60

    run("replay_events", "--resume", str(audit.id), "--rate", "5000")

    assert Inbox.objects.count() == 60
    assert DailyCount.objects.get().count == 60
    assert Replay.objects.get().outcome == "done"


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
