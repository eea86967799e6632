from collections.abc import Collection, Sequence
from uuid import UUID

import pytest

from shop.kernel.ids import new_id
from shop.kernel.outbox import queue
from shop.kernel.outbox.models import PendingEvent
from shop.kernel.outbox.services import SHARDS, publish, shard_of
from shop.kernel.transactions import open_unit_of_work
from tests.shop.kernel.outbox.factories import action

pytestmark = pytest.mark.django_db

ALL = range(SHARDS)


def tell(*keys: UUID) -> list[int]:
    """Tell one event for each key, in one unit, and return their positions."""
    with open_unit_of_work():
        for number, key in enumerate(keys):
            publish(action(user_id=key, n=number))
    return list(PendingEvent.objects.order_by("-position").values_list("position", flat=True)[: len(keys)])[::-1]


def positions(*, shards: Collection[int] = ALL, in_flight: Sequence[int] = (), limit: int = 100) -> list[int]:
    return [row.position for row in queue.read(shards=shards, in_flight=in_flight, limit=limit)]


def test_events_are_read_in_the_order_of_their_telling() -> None:
    told = tell(new_id(), new_id(), new_id())

    assert positions() == told
    assert positions(limit=2) == told[:2]


def test_what_is_in_flight_is_not_read_again() -> None:
    first, second, third = tell(new_id(), new_id(), new_id())

    assert positions(in_flight=[first, third]) == [second]


def test_only_the_own_shards_are_read() -> None:
    mine, other = new_id(), new_id()
    while shard_of(str(other)) == shard_of(str(mine)):
        other = new_id()
    first, _second = tell(mine, other)

    assert positions(shards=[shard_of(str(mine))]) == [first]


def test_a_refused_event_holds_back_its_key_and_no_other() -> None:
    poisoned, healthy = new_id(), new_id()
    first, other, _behind = tell(poisoned, healthy, poisoned)

    queue.refuse(position=first, reason="too large")

    assert positions() == [other]
    assert PendingEvent.objects.get(position=first).last_error == "too large"
    assert queue.depth().failed == 1


def test_a_refused_event_tried_again_comes_before_those_behind_it() -> None:
    key = new_id()
    first, behind = tell(key, key)
    queue.refuse(position=first, reason="too large")

    assert queue.retry_refused(positions=[first, behind]) == 1

    assert positions() == [first, behind]


def test_acknowledged_events_leave_the_queue_and_stay_in_the_log() -> None:
    first, second = tell(new_id(), new_id())

    assert queue.remove(positions=[first]) == 1
    assert queue.remove(positions=[first]) == 0

    assert positions() == [second]
    assert queue.depth().pending == 1


def test_sending_again_queues_once() -> None:
    key = new_id()
    (first,) = tell(key)
    event_id = queue.read(shards=ALL, in_flight=[], limit=1)[0].event_id
    assert queue.send_again(events=[(event_id, key)]) == 0
    queue.remove(positions=[first])

    assert queue.send_again(events=[(event_id, key)]) == 1

    assert [row.event_id for row in queue.read(shards=ALL, in_flight=[], limit=9)] == [event_id]


def test_an_event_missing_from_the_log_is_shown_not_skipped() -> None:
    PendingEvent.objects.create(event_id=new_id(), key=new_id(), shard=0)

    (row,) = queue.read(shards=ALL, in_flight=[], limit=9)

    assert row.told is None


def test_an_empty_queue_has_no_oldest_event() -> None:
    depth = queue.depth()

    assert (depth.pending, depth.failed, depth.oldest_at) == (0, 0, None)


def test_a_refused_event_is_not_taken_out_by_an_acknowledgement_that_comes_late() -> None:
    (position,) = tell(new_id())
    queue.refuse(position=position, reason="too large")

    assert queue.remove(positions=[position]) == 0
