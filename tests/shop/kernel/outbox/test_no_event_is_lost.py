"""Why there is a queue: a reader that remembers the last id it saw loses events, and the queue loses none.

An id is drawn before its transaction commits. With two writers the lower id may become visible after the higher one,
and a cursor has passed it by then. Hypothesis looks for such interleavings with real transactions. The same with eight
writers, relays and a broker: tests/integrations/kafka/test_no_event_is_lost.py.
"""

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from django.db import connection
from hypothesis import HealthCheck, Phase, example, find, given, settings
from hypothesis import strategies as st

from shop.kernel.ids import new_id
from shop.kernel.outbox import queue
from shop.kernel.outbox.models import LoggedEvent
from shop.kernel.outbox.services import SHARDS, publish
from shop.kernel.transactions import open_unit_of_work
from tests.races import be_patient
from tests.shop.kernel.outbox.factories import action
from tests.shop.kernel.outbox.writers import Writer

pytestmark = pytest.mark.django_db(transaction=True)

WRITERS = 3
# A step is a writer's number (it tells if it has nothing open, and commits otherwise) or a look by both readers.
LOOK = -1
SCHEDULES = st.lists(st.integers(LOOK, WRITERS - 1), min_size=3, max_size=14)
QUICKLY = settings(
    max_examples=25,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)


class Readers:
    """The naive cursor and the queue, side by side."""

    def __init__(self) -> None:
        before = LoggedEvent.objects.order_by("id").last()
        self._last_seen = before.id if before else UUID(int=0)
        self.by_cursor: list[tuple[UUID, int]] = []
        self.by_queue: list[tuple[UUID, int]] = []

    def look(self) -> None:
        for event in LoggedEvent.objects.filter(id__gt=self._last_seen).order_by("id"):
            self._last_seen = event.id
            self.by_cursor.append((event.key, event.payload["properties"]["n"]))
        rows = queue.read(shards=range(SHARDS), in_flight=[], limit=1_000)
        self.by_queue += [(row.key, row.told.sequence) for row in rows if row.told]
        queue.remove(positions=[row.position for row in rows])


def play(schedule: list[int]) -> tuple[Readers, list[tuple[UUID, int]]]:
    """Play a schedule to its end and return what the readers saw and what was told."""
    writers, readers = [Writer() for _ in range(WRITERS)], Readers()
    for step in schedule:
        if step == LOOK:
            readers.look()
        else:
            writers[step].commit() if writers[step].is_open else writers[step].tell()
    for writer in writers:
        writer.end()
    readers.look()
    return readers, [(writer.key, number) for writer in writers for number in range(1, writer.told + 1)]


def test_a_cursor_over_ids_loses_events() -> None:
    def loses(schedule: list[int]) -> bool:
        readers, told = play(schedule)
        return sorted(readers.by_cursor) != sorted(told)

    losing = find(SCHEDULES, loses, settings=settings(QUICKLY, max_examples=1_000))

    assert loses(losing)


# The shortest way to lose one: 0 tells, 1 tells and commits, the cursor looks, 0 commits.
@example([0, 1, 1, LOOK, 0])
@given(SCHEDULES)
@QUICKLY
def test_the_queue_loses_none_and_keeps_each_key_in_order(schedule: list[int]) -> None:
    readers, told = play(schedule)

    assert sorted(readers.by_queue) == sorted(told)
    for key in {key for key, _ in told}:
        assert [number for seen, number in readers.by_queue if seen == key] == [n for seen, n in told if seen == key]


def test_writers_of_one_key_get_contiguous_sequences_in_the_order_of_the_queue() -> None:
    key = new_id()

    def tell(_: int) -> None:
        be_patient()
        for _again in range(10):
            with open_unit_of_work():
                publish(action(user_id=key))
                publish(action(user_id=key))
        connection.close()

    with ThreadPoolExecutor(max_workers=6) as writers:
        list(writers.map(tell, range(6)))

    rows = queue.read(shards=range(SHARDS), in_flight=[], limit=1_000)
    assert [row.told.sequence for row in rows if row.told] == list(range(1, 121))
