from datetime import timedelta

import pytest
from django.db import connection

from integrations.kafka import tasks
from integrations.kafka.delivery import deliver
from integrations.kafka.groups import Group
from integrations.kafka.housekeeping import count_parked, forget_old_inbox_rows
from integrations.kafka.models import Inbox, Parked
from shop.kernel.clock import utc_now
from shop.kernel.ids import new_id
from shop.kernel.outbox.instants import first_id_at
from shop.kernel.outbox.models import PendingEvent
from shop.kernel.outbox.services import keep_partitions
from tests.integrations.kafka import effects
from tests.integrations.kafka.conftest import tell
from tests.integrations.kafka.test_delivery import told

KEY = new_id()


def test_the_clock_drains_what_is_due_and_shows_what_is_left(listening: Group) -> None:
    effects.poisoned.add(KEY)
    tell(KEY, KEY)
    deliver(group=listening, events=told(), now=utc_now() - timedelta(minutes=1))

    assert tasks.redrive_parked(surprise="of a newer deployment") == 0
    assert count_parked()[listening.name, "waiting"] == 2
    effects.poisoned.clear()
    Parked.objects.update(next_attempt_at=utc_now())

    assert tasks.redrive_parked() == 2
    assert count_parked()[listening.name, "waiting"] == 0


def test_inbox_rows_outlive_the_log_and_then_go(listening: Group) -> None:
    now = utc_now()
    young, old = first_id_at(now - timedelta(days=100)), first_id_at(now - timedelta(days=112))
    for event_id in (young, old):
        Inbox.objects.create(consumer=listening.name, event_id=event_id, handled_at=now)

    assert forget_old_inbox_rows(now=now) == 1

    assert list(Inbox.objects.values_list("event_id", flat=True)) == [young]


@pytest.mark.usefixtures("patient_partitions")
def test_inbox_rows_stay_as_long_as_an_event_of_their_time_waits_for_kafka(listening: Group) -> None:
    now = utc_now()
    waiting, handled = (first_id_at(now - timedelta(days=days)) for days in (150, 120))
    PendingEvent.objects.create(event_id=waiting, key=KEY, shard=0)
    keep_partitions(now=now - timedelta(days=150))
    Inbox.objects.create(consumer=listening.name, event_id=handled, handled_at=now)

    assert forget_old_inbox_rows(now=now) == 0
    PendingEvent.objects.all().delete()
    keep_partitions(now=now)
    assert forget_old_inbox_rows(now=now) == 1


@pytest.mark.django_db
def test_the_clock_keeps_partitions_ahead() -> None:
    tasks.keep_event_log()

    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_inherits WHERE inhparent = 'event_log'::regclass")
        assert cursor.fetchone()[0] >= 10
