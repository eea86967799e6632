"""Deliveries made again, listed, and forgotten."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta

import pytest
from pytest_django.fixtures import Settings

from notifications.dto import EndpointView
from notifications.errors import WebhookBodyForgotten, WebhookEndpointDisabled, WebhookNotFound
from notifications.models import WebhookAttempt, WebhookDelivery
from notifications.ports import Answer
from notifications.queries import webhooks as queries
from notifications.services import webhooks
from shop.kernel.errors import IllegalTransition
from shop.kernel.ids import new_id
from tests.conftest import Statements
from tests.notifications.webhooks.factories import FakeSender, attempt, delivery

pytestmark = pytest.mark.django_db


def test_what_was_delivered_is_sent_again_under_the_same_id_when_a_person_asks(
    endpoint: EndpointView, sender: FakeSender, now: datetime
) -> None:
    row = delivery(now=now)
    attempt(now=now)

    again = webhooks.redeliver(delivery_id=row.pk, now=now)
    attempt(now=now)

    assert (again.state, again.redeliveries, again.attempts) == ("pending", 1, 0)
    first, second = sender.posted
    assert (first[1]["webhook-id"], first[2]) == (second[1]["webhook-id"], second[2])
    assert [entry.status for entry in queries.delivery(delivery_id=row.pk).log] == [200, 200]


def test_what_is_dead_has_all_its_retries_again(
    endpoint: EndpointView, sender: FakeSender, now: datetime, settings: Settings
) -> None:
    settings.WEBHOOK_RETRY_DELAYS_SECONDS = []
    row = delivery(now=now)
    sender.answers = [Answer(status=500)] * 2
    assert attempt(now=now) == ["dead"]

    settings.WEBHOOK_RETRY_DELAYS_SECONDS = [5]
    webhooks.redeliver(delivery_id=row.pk, now=now)

    assert attempt(now=now) == ["pending"]
    assert attempt(now=now + timedelta(seconds=6)) == ["delivered"]


def test_what_waits_is_brought_forward(endpoint: EndpointView, sender: FakeSender, now: datetime) -> None:
    row = delivery(now=now)
    sender.answers = [Answer(status=500)]
    attempt(now=now)
    assert attempt(now=now) == []

    webhooks.redeliver(delivery_id=row.pk, now=now)

    assert attempt(now=now) == ["delivered"]


def test_what_is_being_sent_is_left_alone_and_a_lost_sender_holds_nobody_up(
    endpoint: EndpointView, sender: FakeSender, now: datetime
) -> None:
    row = delivery(now=now)
    (claimed,) = webhooks.claim(failing=False, limit=1, now=now)

    with pytest.raises(IllegalTransition):
        webhooks.redeliver(delivery_id=row.pk, now=now)

    webhooks.redeliver(delivery_id=row.pk, now=claimed.busy_until)
    assert attempt(now=claimed.busy_until) == ["delivered"]


def test_the_answer_to_an_earlier_sending_does_not_end_a_later_one(
    endpoint: EndpointView, sender: FakeSender, now: datetime
) -> None:
    row = delivery(now=now)
    (claimed,) = webhooks.claim(failing=False, limit=1, now=now)
    outcome = webhooks.send(claimed=claimed, now=now)
    webhooks.redeliver(delivery_id=row.pk, now=claimed.busy_until)

    webhooks.record(claimed=claimed, outcome=outcome, now=claimed.busy_until)

    row.refresh_from_db()
    assert row.state == "pending"


def test_to_a_disabled_endpoint_nothing_is_sent_again(endpoint: EndpointView, now: datetime) -> None:
    row = delivery(now=now)
    webhooks.disable_endpoint(endpoint_id=endpoint.endpoint_id, now=now)

    with pytest.raises(WebhookEndpointDisabled):
        webhooks.redeliver(delivery_id=row.pk, now=now)
    webhooks.remove_endpoint(endpoint_id=endpoint.endpoint_id, now=now)
    for delivery_id in (row.pk, new_id()):
        with pytest.raises(WebhookNotFound):
            webhooks.redeliver(delivery_id=delivery_id, now=now)


@pytest.mark.parametrize("count", [1, 3])
def test_a_page_of_deliveries_costs_the_same_however_many(
    statements: Callable[[], AbstractContextManager[Statements]],
    endpoint: EndpointView,
    sender: FakeSender,
    now: datetime,
    count: int,
) -> None:
    for _ in range(count):
        delivery(now=now)
    for _ in range(count):
        attempt(now=now)

    with statements() as counted:
        rows = queries.deliveries(endpoint_id=endpoint.endpoint_id, limit=10, after=None, before=None)

    assert [len(row.log) for row in rows] == [1] * count
    assert len(counted) == 3


def test_after_a_while_what_was_said_is_forgotten_and_that_it_was_is_not(
    endpoint: EndpointView, sender: FakeSender, now: datetime, settings: Settings
) -> None:
    settings.WEBHOOK_BODIES_KEPT_DAYS, settings.EVENT_LOG_KEPT_DAYS = 30, 90
    row = delivery(now=now)
    attempt(now=now)

    assert webhooks.forget_old(now=now + timedelta(days=30)) == 0
    assert webhooks.forget_old(now=now + timedelta(days=30, seconds=1)) == 1

    row.refresh_from_db()
    assert (row.body, row.state) == ("", "delivered")
    assert WebhookAttempt.objects.count() == 0
    with pytest.raises(WebhookBodyForgotten):
        webhooks.redeliver(delivery_id=row.pk, now=now)

    webhooks.forget_old(now=now + timedelta(days=104))
    assert WebhookDelivery.objects.count() == 1
    webhooks.forget_old(now=now + timedelta(days=104, seconds=1))
    assert WebhookDelivery.objects.count() == 0


def test_what_still_waits_is_not_forgotten_but_for_an_endpoint_that_stays_disabled(
    endpoint: EndpointView, now: datetime
) -> None:
    row = delivery(now=now)
    webhooks.forget_old(now=now + timedelta(days=200))
    row.refresh_from_db()
    assert row.state == "pending"
    webhooks.disable_endpoint(endpoint_id=endpoint.endpoint_id, now=now)

    webhooks.forget_old(now=now + timedelta(days=29))
    row.refresh_from_db()
    assert row.state == "pending"

    webhooks.forget_old(now=now + timedelta(days=31))
    row.refresh_from_db()
    assert (row.state, row.last_error) == ("dead", "The endpoint was disabled for too long.")
