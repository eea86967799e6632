"""Which events a replay or an export selects, by each flag and by several."""

from datetime import UTC, datetime, timedelta
from functools import partial
from threading import Event

import pytest

from integrations.kafka.delivery import deliver
from integrations.kafka.groups import Group
from integrations.kafka.models import Parked
from integrations.kafka.replay import announcing
from integrations.kafka.replay.audit import Mode, ReplayRequest, begin
from integrations.kafka.replay.healing import dead_among
from integrations.kafka.replay.pace import Pace
from integrations.kafka.replay.running import carry_out
from shop.kernel.clock import utc_now
from shop.kernel.ids import new_id
from shop.kernel.outbox import log as event_log
from shop.kernel.outbox.log import Selection
from shop.kernel.outbox.services import publish
from shop.kernel.tracing import Trace, tracing
from shop.kernel.transactions import open_unit_of_work
from tests.integrations.kafka import effects
from tests.integrations.kafka.conftest import tell
from tests.integrations.kafka.replay.commands import run
from tests.integrations.kafka.test_delivery import told
from tests.shop.kernel.outbox.factories import action, expired

ONE, TWO = new_id(), new_id()


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


def test_the_log_begins_after_1970(listening: Group) -> None:
    (event_id,) = tell(ONE)
    before = datetime(1, 1, 1, tzinfo=UTC)

    found = [event.id for chunk in event_log.chunks(Selection(since=before), size=1) for event in chunk]

    assert found == [event_id]
    assert list(event_log.chunks(Selection(until=before), size=1)) == []


def selected(*flags: str) -> int:
    printed = run("replay_events", "--target", "warehouse", *flags)
    return int(printed.split("Selected from the log: ")[1].split()[0])


@pytest.fixture
def six(listening: Group) -> list[str]:
    """Six events of two requests: three actions of a shopper's, and an order's end; the ids, in order."""
    for request in ("first", "second"):
        with tracing(Trace(correlation_id=request)), open_unit_of_work():
            publish(action(user_id=ONE))
            publish(action(user_id=TWO))
            publish(expired(order_id=TWO))
    return [str(event.id) for event in told()]


def test_flags_narrow_one_another(six: list[str]) -> None:
    assert selected() == 6
    assert selected("--type", "analytics.events.v1") == 4
    assert selected("--type", "analytics.events.v1", "--type", "order.expired.v1") == 6
    assert selected("--key", str(TWO)) == 4
    assert selected("--key", str(TWO), "--type", "order.expired.v1") == 2
    assert selected("--key", str(TWO), "--type", "order.expired.v1", "--correlation-id", "second") == 1
    assert selected("--aggregate", "order", "--correlation-id", "first") == 1
    assert selected("--event-id", six[0], "--event-id", six[5]) == 2
    assert selected("--event-id", six[0], "--key", str(new_id())) == 0
    assert selected("--since", (utc_now() - timedelta(minutes=1)).isoformat(), "--aggregate", "shopper") == 4
    assert selected("--until", (utc_now() - timedelta(minutes=1)).isoformat(), "--aggregate", "shopper") == 0


def test_dead_letters_are_chosen_by_the_same_flags(six: list[str], listening: Group, now: datetime) -> None:
    effects.poisoned |= {ONE, TWO}
    deliver(group=listening, events=told(), now=now)
    Parked.objects.update(state="dead")

    def dead(**chosen: object) -> int:
        return dead_among(selection=Selection(**chosen), groups=[listening]).count()  # type: ignore[arg-type]  # any field

    assert dead() == 4
    assert dead(key=ONE) == 2
    assert dead(key=ONE, correlation_id="second") == 1
    assert dead(aggregate="shopper") == 4
    assert dead(aggregate="order") == 0
    assert dead(types=("order.expired.v1",)) == 0
    assert dead(event_ids=(told()[0].id,)) == 1
    assert dead(since=utc_now() - timedelta(minutes=1)) == 4
    assert dead(since=utc_now() + timedelta(minutes=1)) == 0
    assert dead(until=utc_now() - timedelta(minutes=1)) == 0


@pytest.mark.parametrize("until", [None, datetime(9_999, 1, 1, tzinfo=UTC)])
@pytest.mark.parametrize("mode", [Mode.HEAL, Mode.RETELL])
def test_what_is_told_while_a_replay_runs_is_no_part_of_it(
    mode: Mode, until: datetime | None, listening: Group
) -> None:
    tell(*[ONE] * 3)
    announced = {
        Mode.HEAL: partial(announcing.heal, groups=[listening], effects=[]),
        Mode.RETELL: partial(announcing.retell, target="warehouse"),
    }[mode](selection=Selection(until=until))
    consumers = [listening.name] if mode is Mode.HEAL else ["warehouse"]
    audit = begin(
        ReplayRequest(
            mode=mode, selection=announced.selection, consumers=consumers, who="a", reason="b", expected=announced.count
        )
    )
    meanwhile = iter(range(4, 20))

    def tell_more(_: int) -> None:
        if n := next(meanwhile, None):
            tell(ONE, start=n)

    carry_out(audit=audit, pace=Pace(per_second=50, stop=Event(), say=print), progress=tell_more)

    assert (announced.count, audit.delivered) == (3, 3)
