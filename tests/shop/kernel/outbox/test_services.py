import json
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress

import pytest
from django.db import IntegrityError, connection, transaction
from pytest_django.fixtures import Settings

from shop.kernel.ids import new_id
from shop.kernel.outbox import services
from shop.kernel.outbox.models import LoggedEvent, PendingEvent
from shop.kernel.tracing import Trace, tracing
from shop.kernel.transactions import TransactionMisuse, open_unit_of_work
from tests.conftest import Statements
from tests.shop.kernel.outbox.factories import AT, action, expired

pytestmark = pytest.mark.django_db


def test_publish_outside_a_unit_of_work_raises() -> None:
    with pytest.raises(TransactionMisuse):
        services.publish(action(user_id=new_id()))

    assert not LoggedEvent.objects.exists()


def test_event_is_logged_and_queued_with_its_trace() -> None:
    order_id = new_id()

    with tracing(Trace(correlation_id="request-1", causation_id="event-0")), open_unit_of_work():
        services.publish(expired(order_id=order_id, number="R7KD-2MNP-XW"))

    logged = LoggedEvent.objects.get()
    assert (logged.topic, logged.type, logged.aggregate) == ("order.expired", "order.expired.v1", "order")
    assert (logged.key, logged.sequence, logged.occurred_at) == (order_id, 1, AT)
    assert logged.payload["number"] == "R7KD-2MNP-XW"
    assert logged.payload["total"] == {"amount": 1_000, "currency": "EUR"}
    assert logged.headers == {"correlationid": "request-1", "causationid": "event-0"}
    queued = PendingEvent.objects.get()
    assert (queued.event_id, queued.key, queued.state) == (logged.id, order_id, "pending")
    assert queued.shard == services.shard_of(str(order_id))


def test_where_debezium_carries_the_events_only_the_log_is_written(settings: Settings) -> None:
    settings.OUTBOX_QUEUED = False
    order_id = new_id()

    with open_unit_of_work():
        services.publish(expired(order_id=order_id))
        services.publish(expired(order_id=order_id))

    assert list(LoggedEvent.objects.order_by("sequence").values_list("key", "sequence")) == [
        (order_id, 1),
        (order_id, 2),
    ]
    assert not PendingEvent.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("events_each", [1, 30])
def test_one_statement_tells_all_events_of_a_unit(
    statements: Callable[[], AbstractContextManager[Statements]], events_each: int
) -> None:
    shopper, order_id = new_id(), new_id()

    with statements() as counted, open_unit_of_work():
        for number in range(events_each):
            services.publish(action(user_id=shopper, n=number))
            services.publish(expired(order_id=order_id, number=str(number)))

    assert len(counted) == 1
    by_position = [
        LoggedEvent.objects.get(id=event_id)
        for event_id in PendingEvent.objects.order_by("position").values_list("event_id", flat=True)
    ]
    told = [(event.aggregate, event.sequence) for event in by_position]
    assert told == [(name, place) for place in range(1, events_each + 1) for name in ("shopper", "order")]
    assert [event.payload["properties"]["n"] for event in by_position if event.aggregate == "shopper"] == list(
        range(events_each)
    )


def test_sequences_go_on_in_the_next_unit() -> None:
    shopper = new_id()

    for _ in range(3):
        with open_unit_of_work():
            services.publish(action(user_id=shopper))
            services.publish(action(user_id=shopper))

    assert list(LoggedEvent.objects.order_by("id").values_list("sequence", flat=True)) == [1, 2, 3, 4, 5, 6]


def test_what_is_rolled_back_was_never_told() -> None:
    class Stop(Exception):
        pass

    def tell_and_stop() -> None:
        with open_unit_of_work():
            services.publish(action(user_id=new_id()))
            raise Stop

    with pytest.raises(Stop):
        tell_and_stop()

    assert not LoggedEvent.objects.exists()
    assert not PendingEvent.objects.exists()


def test_a_savepoint_that_fails_takes_its_events_along() -> None:
    kept, dropped = new_id(), new_id()

    with open_unit_of_work() as unit:
        services.publish(action(user_id=kept))
        with suppress(KeyError), unit.savepoint():
            services.publish(action(user_id=dropped))
            raise KeyError

    assert list(LoggedEvent.objects.values_list("key", flat=True)) == [kept]


@pytest.mark.parametrize("change", ["UPDATE event_log SET topic = 'x'", "DELETE FROM event_log"])
def test_the_log_refuses_changes(change: str) -> None:
    with open_unit_of_work():
        services.publish(action(user_id=new_id()))

    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(change)

    assert LoggedEvent.objects.get().topic == "analytics.events"


def test_payload_is_the_event_as_it_was_encoded() -> None:
    event = action(user_id=new_id(), sku="KTL-1", quantity=3)

    with open_unit_of_work():
        services.publish(event)

    assert type(event).decode(json.dumps(LoggedEvent.objects.get().payload).encode()) == event


def test_a_key_belongs_to_one_of_64_shards_for_ever() -> None:
    assert services.shard_of("019ab0e2-0000-7000-8000-000000000001") == 54
    assert {services.shard_of(str(new_id())) for _ in range(2_000)} == set(range(64))
