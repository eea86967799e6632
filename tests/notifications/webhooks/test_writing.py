"""Deliveries are written with the event's effect: once for each endpoint that hears it, whatever comes again."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime

import pytest
from django.conf import settings as configured

from integrations.kafka.delivery import deliver
from integrations.kafka.envelope import Arrived
from integrations.kafka.groups import group
from notifications.dto import EndpointView
from notifications.errors import UnknownEventType
from notifications.models import WebhookDelivery
from notifications.services import webhooks
from notifications.services.webhooks.filters import checked, hears
from shop.kernel.events import event_classes
from shop.kernel.ids import new_id
from shop.kernel.transactions import open_unit_of_work
from tests.conftest import Statements
from tests.notifications.webhooks.factories import FakeSender, attempt, endpoint, paid, told

pytestmark = pytest.mark.django_db


def arrived(*, now: datetime, count: int) -> list[Arrived]:
    events = [paid(now=now) for _ in range(count)]
    return [
        Arrived(id=new_id(), type=event.type_name(), key=str(event.key), data=event.encode(), topic=event.topic)
        for event in events
    ]


def test_merchants_may_hear_every_fact_and_nothing_of_what_shoppers_do() -> None:
    facts = {name for name, kind in event_classes().items() if kind.__module__.endswith(".events")}

    assert set(configured.CONSUMERS["webhooks"]) == {name for name in facts if name != "analytics.events.v1"}


@pytest.mark.parametrize(
    ("pattern", "heard"),
    [
        ("*", {"order.paid", "order.created", "payment.success"}),
        ("order.*", {"order.paid", "order.created"}),
        ("payment.success", {"payment.success"}),
        ("order.pai", set()),
        ("order", set()),
    ],
)
def test_patterns_fit_types_whole_or_from_the_left(pattern: str, heard: set[str]) -> None:
    types = {"order.paid", "order.created", "payment.success"}

    assert {name for name in types if hears(events=[pattern], type_name=name)} == heard


@pytest.mark.parametrize(
    "pattern", ["order", "orders.*", "*.paid", "order.paid.v1", "analytics.events", "", ".*", "**"]
)
def test_a_pattern_that_fits_nothing_is_refused(pattern: str) -> None:
    with pytest.raises(UnknownEventType):
        checked(events=["order.paid", pattern])


def test_only_endpoints_that_hear_the_event_are_told(sender: FakeSender, now: datetime) -> None:
    hearing = endpoint(now=now, url="https://a.example.com/", events=("payment.*", "order.paid"))
    endpoint(now=now, url="https://b.example.com/", events=("payment.*", "order.created"))
    off = endpoint(now=now, url="https://c.example.com/")
    webhooks.disable_endpoint(endpoint_id=off.endpoint_id, now=now)
    removed = endpoint(now=now, url="https://d.example.com/")
    webhooks.remove_endpoint(endpoint_id=removed.endpoint_id, now=now)
    event = paid(now=now)

    event_id = told(event, now=now)

    row = WebhookDelivery.objects.get()
    assert (row.endpoint_id, row.event_id, row.type, row.subject) == (
        hearing.endpoint_id, event_id, "order.paid", event.order_id,
    )  # fmt: skip
    assert (row.state, row.attempts, row.next_attempt_at) == ("pending", 0, now)


def test_the_body_is_the_event_in_the_form_of_standard_webhooks(endpoint: EndpointView, now: datetime) -> None:
    event = paid(now=now)

    event_id = told(event, now=now)

    body = json.loads(WebhookDelivery.objects.get().body)
    assert body == {
        "id": str(event_id),
        "type": "order.paid",
        "version": 1,
        "timestamp": "2026-11-22T12:00:00.000Z",
        "data": json.loads(event.encode()),
    }


def test_an_event_told_again_is_written_once(endpoint: EndpointView, now: datetime) -> None:
    event = paid(now=now)
    event_id = told(event, now=now)

    told(event, now=now, event_id=event_id)

    assert WebhookDelivery.objects.count() == 1


def test_what_was_delivered_is_not_sent_again_by_a_replay(
    endpoint: EndpointView, sender: FakeSender, now: datetime
) -> None:
    event = paid(now=now)
    event_id = told(event, now=now)
    attempt(now=now)

    # As a heal does where the inbox row is gone: the handler hears the event as if it were new.
    told(event, now=now, event_id=event_id)
    attempt(now=now)

    assert len(sender.posted) == 1
    assert WebhookDelivery.objects.get().state == "delivered"


def test_nothing_is_written_when_the_unit_of_work_fails(endpoint: EndpointView, now: datetime) -> None:
    def fail() -> None:
        with open_unit_of_work():
            webhooks.tell(event=paid(now=now), event_id=new_id(), now=now)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()

    assert WebhookDelivery.objects.count() == 0


@pytest.mark.parametrize(("endpoints", "cost"), [(0, 2), (1, 3), (3, 3)])
def test_a_batch_costs_the_same_however_long_and_one_statement_where_nobody_hears(
    statements: Callable[[], AbstractContextManager[Statements]],
    sender: FakeSender,
    now: datetime,
    endpoints: int,
    cost: int,
) -> None:
    for number in range(endpoints):
        endpoint(now=now, url=f"https://merchant.example.com/{number}")

    for events in (1, 30):
        with statements() as counted:
            deliver(group=group("webhooks"), events=arrived(now=now, count=events), now=now)

        # The first of them is the inbox; the test's own transaction turns ours into a savepoint.
        assert len([sql for sql in counted if "SAVEPOINT" not in sql]) == cost
    assert WebhookDelivery.objects.count() == 31 * endpoints
