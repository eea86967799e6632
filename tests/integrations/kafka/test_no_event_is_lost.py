"""Eight writers at once: what a reader of the log that goes by ids loses, and the queue and its relays do not.

Ids are drawn before transactions commit, and transactions get their numbers before they draw ids. So the orders of
ids, of transactions' numbers and of commits are three. A cursor over ids loses what commits late; one that also waits
for every transaction older than what it reads (`xmin`) loses less, and loses.
"""

import random
from collections.abc import Sequence
from uuid import UUID

import pytest
from django.db import connection

from shop.kernel.ids import new_id
from shop.kernel.outbox.models import LoggedEvent, PendingEvent
from shop.kernel.outbox.services import publish
from shop.kernel.transactions import open_unit_of_work
from tests.integrations.kafka.conftest import relaying, wait_until
from tests.integrations.kafka.test_relay import on_the_wire
from tests.races import at_once
from tests.shop.kernel.outbox.factories import action
from tests.shop.kernel.outbox.writers import Writer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("long_lived_relays")]

WRITERS, ROUNDS = 8, 20
BY_ID = "SELECT id FROM event_log WHERE id > %s ORDER BY id"
BY_ID_BEHIND_XMIN = (
    "SELECT id FROM event_log WHERE id > %s"
    " AND xmin::text::bigint < pg_snapshot_xmin(pg_current_snapshot())::text::bigint ORDER BY id"
)


class Cursor:
    """A reader that remembers the last id it saw."""

    def __init__(self, query: str) -> None:
        self._query = query
        self._last_seen = UUID(int=0)
        self._seen = 0

    def look(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute(self._query, [self._last_seen])
            for (event_id,) in cursor:
                self._seen += 1
                self._last_seen = event_id

    @property
    def lost(self) -> int:
        """How many events it has passed by and will never see."""
        return LoggedEvent.objects.filter(id__lte=self._last_seen).count() - self._seen


def play(writers: Sequence[Writer], cursors: Sequence[Cursor], dice: random.Random) -> None:
    """Let all writers begin, tell and commit, each time in another order; the cursors look after each commit."""

    def shuffled() -> list[Writer]:
        return dice.sample(writers, len(writers))

    for _ in range(ROUNDS):
        for writer in shuffled():
            writer.begin()
        for writer in shuffled():
            writer.tell()
        for writer in shuffled():
            writer.commit()
            for cursor in cursors:
                cursor.look()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_cursors_over_ids_lose_events_and_the_relays_lose_none(seed: int) -> None:
    writers = [Writer() for _ in range(WRITERS)]
    cursors, dice = [Cursor(BY_ID), Cursor(BY_ID_BEHIND_XMIN)], random.Random(seed)

    def all_have_lost() -> bool:
        play(writers, cursors, dice)
        return all(cursor.lost > 0 for cursor in cursors)

    with relaying(batch=50), relaying(batch=50):
        # Other databases' transactions count for xmin, too: behind a long one it sees nothing, and loses nothing yet.
        wait_until(all_have_lost)
        for writer in writers:
            writer.end()
        wait_until(lambda: not PendingEvent.objects.exists())

    assert on_the_wire(*[writer.key for writer in writers]) == {
        writer.key: list(range(1, writer.told + 1)) for writer in writers
    }


def test_eight_writers_that_run_freely_lose_none_and_keep_each_key_in_order() -> None:
    keys = [new_id() for _ in range(5)]
    each = 40

    def tell(seed: int) -> None:
        dice = random.Random(seed)
        for _ in range(each):
            with open_unit_of_work():
                publish(action(user_id=dice.choice(keys)))
                publish(action(user_id=dice.choice(keys)))

    with relaying(batch=50), relaying(batch=50):
        at_once(*[lambda seed=seed: tell(seed) for seed in range(WRITERS)])
        wait_until(lambda: not PendingEvent.objects.exists())

    seen = on_the_wire(*keys)
    assert sum(len(sequences) for sequences in seen.values()) == WRITERS * each * 2
    for sequences in seen.values():
        assert sequences == list(range(1, len(sequences) + 1))
