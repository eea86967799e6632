import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from django.db import connection

from shop.kernel.ids import new_id
from shop.kernel.outbox import queue
from shop.kernel.outbox.floor import Floor
from shop.kernel.outbox.services import SHARDS, publish
from shop.kernel.transactions import open_unit_of_work
from tests.shop.kernel.outbox.factories import action

pytestmark = pytest.mark.django_db(transaction=True)

PATIENCE_SECONDS = 90.0
_DRAW = "INSERT INTO outbox_pending (event_id, key, shard) VALUES (%s, %s, 0) RETURNING position"


def tell(count: int = 1) -> list[int]:
    """Tell events and return their positions."""
    before = set(waiting(0))
    for _ in range(count):
        with open_unit_of_work():
            publish(action(user_id=new_id()))
    return sorted(set(waiting(0)) - before)


def waiting(floor: int) -> list[int]:
    return [row.position for row in queue.read(shards=range(SHARDS), in_flight=[], limit=1_000, floor=floor)]


@contextmanager
def another_session() -> Iterator["psycopg.Connection[tuple[int]]"]:
    """Open a connection that is in no transaction yet."""
    with psycopg.connect(**(connection.get_connection_params() | {"cursor_factory": psycopg.Cursor})) as session:
        yield session


def lifted(floor: Floor) -> int:
    """Lift as often as it takes for what has ended to count."""
    for _ in range(3):
        floor.lift()
    return floor.position


def comes_to(floor: Floor, position: int) -> bool:
    """Lift until it is there; transactions of other databases, such as other tests', hold it down meanwhile, too."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while floor.position < position and time.monotonic() < deadline:
        floor.lift()
    return floor.position == position


def test_the_floor_follows_what_is_taken_out() -> None:
    floor = Floor()
    told = tell(5)
    queue.remove(positions=told[:3])

    assert comes_to(floor, told[3] - 1)
    assert waiting(floor.position) == told[3:]


def test_an_empty_queue_lifts_it_to_what_was_told_last() -> None:
    floor = Floor()
    told = tell(3)
    queue.remove(positions=told)

    assert comes_to(floor, told[-1])
    assert waiting(floor.position) == []
    (next_,) = tell()
    assert waiting(floor.position) == [next_]


def test_a_position_drawn_by_the_newest_transaction_of_all_stays_above_it() -> None:
    floor = Floor()
    with another_session() as late:
        # Nothing that began after it has ended: the highest number of a snapshot would not be above its own.
        drawn = late.execute(_DRAW, [new_id(), new_id()]).fetchone()
        assert drawn is not None

        assert lifted(floor) < drawn[0]
        late.commit()

    assert waiting(floor.position) == [drawn[0]]


def test_a_position_that_was_drawn_and_not_committed_yet_stays_above_it() -> None:
    floor = Floor()
    with another_session() as late:
        drawn = late.execute(_DRAW, [new_id(), new_id()]).fetchone()
        assert drawn is not None
        told = tell(5)
        queue.remove(positions=told)

        assert lifted(floor) < drawn[0]
        late.commit()

    assert waiting(floor.position) == [drawn[0]]


def test_it_goes_on_once_the_late_one_has_ended() -> None:
    floor = Floor()
    with another_session() as late:
        late.execute(_DRAW, [new_id(), new_id()])
        told = tell(5)
        queue.remove(positions=told)
        lifted(floor)
        late.rollback()

    assert comes_to(floor, told[-1])


def test_who_only_reads_does_not_hold_it_down() -> None:
    floor = Floor()
    with another_session() as backup:
        backup.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        backup.execute("SELECT count(*) FROM outbox_pending")
        told = tell(5)
        queue.remove(positions=told)

        assert comes_to(floor, told[-1])


def test_a_refused_event_holds_it_down_and_is_read_when_it_is_tried_again() -> None:
    floor = Floor()
    refused, *others = tell(3)
    queue.refuse(position=refused, reason="too large")
    queue.remove(positions=others)

    assert comes_to(floor, refused - 1)
    queue.retry_refused(positions=[refused])
    assert waiting(floor.position) == [refused]


def test_a_database_restored_from_a_backup_is_read_from_its_front() -> None:
    floor = Floor()
    told = tell(5)
    queue.remove(positions=told)
    assert comes_to(floor, told[-1])
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE outbox_pending ALTER COLUMN position RESTART WITH 1")

    (anew,) = tell()

    assert lifted(floor) < anew
    assert waiting(floor.position) == [anew]
