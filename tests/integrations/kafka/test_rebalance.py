"""A group changes hands in the middle of a batch: whoever handles it, and how often it comes, it takes effect once."""

import threading
from uuid import UUID

import pytest
from django.db import connection
from pytest_django.fixtures import Settings

from integrations.kafka import metrics
from integrations.kafka.groups import Group
from shop.kernel.events import UserAction
from shop.kernel.ids import new_id
from tests.integrations.kafka import effects
from tests.integrations.kafka.conftest import DEADLINE_SECONDS, consuming, relaying, tell, wait_until

pytestmark = pytest.mark.django_db(transaction=True)


def somebody_waits_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return bool(cursor.fetchone()[0])


@pytest.fixture
def patient_members(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each member wait for the other's rows: after two waits in vain an event would be set aside."""
    options = connection.settings_dict["OPTIONS"]
    patience = f"-c lock_timeout={DEADLINE_SECONDS:g}s -c statement_timeout={2 * DEADLINE_SECONDS:g}s"
    monkeypatch.setitem(options, "options", f"{options['options']} {patience}")


@pytest.mark.usefixtures("patient_members")
def test_a_member_that_is_too_slow_loses_its_partitions_in_the_middle_of_a_batch(
    listening: Group, settings: Settings
) -> None:
    # Who receives nothing for so long is taken for hung, and its partitions go to others; no shorter than a session.
    settings.KAFKA_OPTIONS = {"max.poll.interval.ms": str(settings.KAFKA_SESSION_TIMEOUT_MS + 2_000)}
    keys = [new_id() for _ in range(40)]
    begun, go_on = threading.Event(), threading.Event()

    def note_slowly(*, event: UserAction, event_id: UUID) -> None:
        effects.note(event=event, event_id=event_id)
        # Not at what others have told on the same broker: the second would come to it after all the rest.
        if event.user_id in keys and not begun.is_set():
            with connection.cursor() as cursor:
                # Nor does the database take it for hung: until the group has changed hands may take a minute.
                cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            begun.set()
            assert go_on.wait(2 * DEADLINE_SECONDS)

    listening.handlers["analytics.events.v1"] = note_slowly
    duplicates = metrics.consumed.labels(listening.name, "analytics.events.v1", "duplicate")

    with relaying(), consuming(listening) as first:
        wait_until(first.is_assigned.is_set)
        tell(*keys)
        wait_until(begun.is_set)
        with consuming(listening):
            # The second has received what the first has in hand, and waits for the first one's inbox rows.
            wait_until(somebody_waits_for_a_lock)
            go_on.set()
            tell(*keys, start=41)
            wait_until(lambda: len(effects.effects(*keys)) >= 80)
            wait_until(duplicates._value.get)
        # The slow one is a member again, and now the only one.
        tell(*keys, start=81)
        wait_until(lambda: len(effects.effects(*keys)) >= 120)

    for at, key in enumerate(keys, 1):
        assert effects.effects(key) == [(key, at), (key, at + 40), (key, at + 80)]
