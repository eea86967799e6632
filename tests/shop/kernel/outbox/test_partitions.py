from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from shop.kernel.ids import new_id
from shop.kernel.outbox.instants import first_id_at, instant_of
from shop.kernel.outbox.partitions import WEEKS_AHEAD, keep_partitions

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("patient_partitions")]

MONDAY = datetime(2031, 3, 3, tzinfo=UTC)
NOW = MONDAY + timedelta(days=2, hours=5)
INSERT = (
    "INSERT INTO event_log (id, topic, type, aggregate, key, sequence, payload, headers, occurred_at)"
    " VALUES (%s, 't', 't.v1', 'a', %s, 1, '{}', '{}', %s)"
)


def partitions() -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'event_log'::regclass")
        return {name for (name,) in cursor}


def log_event(*, at: datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute(INSERT, [first_id_at(at), new_id(), at])


def whereabouts() -> list[tuple[str, datetime]]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT tableoid::regclass::text, id FROM event_log ORDER BY id")
        return [(name, instant_of(event_id)) for name, event_id in cursor]


def test_this_week_and_those_ahead_are_made() -> None:
    keep_partitions(now=NOW)

    wanted = {f"event_log_p{MONDAY + timedelta(weeks=ahead):%Y%m%d}" for ahead in range(WEEKS_AHEAD + 1)}
    assert wanted <= partitions()


def test_doing_it_again_changes_nothing() -> None:
    keep_partitions(now=NOW)
    before = partitions()

    keep_partitions(now=NOW)

    assert partitions() == before


def test_an_event_lands_in_its_week() -> None:
    keep_partitions(now=NOW)

    log_event(at=MONDAY)
    log_event(at=MONDAY + timedelta(days=7) - timedelta(milliseconds=1))
    log_event(at=MONDAY + timedelta(days=7))

    assert [name for name, _ in whereabouts()] == ["event_log_p20310303", "event_log_p20310303", "event_log_p20310310"]


def test_an_event_nobody_expected_lands_in_the_default_and_is_moved_later() -> None:
    log_event(at=NOW)
    assert whereabouts() == [("event_log_default", NOW)]

    keep_partitions(now=NOW + timedelta(days=7))

    assert whereabouts() == [("event_log_p20310303", NOW)]


def test_old_partitions_go_and_the_oldest_kept_one_stays() -> None:
    keep_partitions(now=NOW)
    log_event(at=NOW)

    keep_partitions(now=MONDAY + timedelta(days=90 + 6))
    assert "event_log_p20310303" in partitions()
    keep_partitions(now=MONDAY + timedelta(days=90 + 7))

    assert "event_log_p20310303" not in partitions()
    assert "event_log_p20310310" in partitions()
    assert whereabouts() == []


def test_a_partition_with_an_event_not_yet_sent_stays() -> None:
    keep_partitions(now=NOW)
    log_event(at=NOW)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO outbox_pending (event_id, key, shard) VALUES (%s, %s, 0)", [first_id_at(NOW), new_id()]
        )

    keep_partitions(now=NOW + timedelta(days=200))

    assert "event_log_p20310303" in partitions()


def test_an_id_tells_when_it_was_made() -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=1)

    made = new_id()

    assert before <= instant_of(made) <= datetime.now(UTC)
    assert first_id_at(before) < made < first_id_at(datetime.now(UTC) + timedelta(milliseconds=2))
