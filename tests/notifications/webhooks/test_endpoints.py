"""Endpoints: made, tried, disabled and enabled, removed."""

from datetime import datetime, timedelta

import pytest

from notifications.dto import EndpointView
from notifications.errors import (
    UnknownEventType,
    WebhookEndpointDisabled,
    WebhookEndpointExists,
    WebhookNotFound,
    WebhookUrlNotAllowed,
)
from notifications.models import WebhookDelivery, WebhookEndpoint
from notifications.ports import AddressRefused, Answer
from notifications.queries import webhooks as queries
from notifications.services import webhooks
from notifications.states import ENDPOINT_TRANSITIONS, EndpointState, check_endpoint_move
from shop.kernel.errors import IllegalTransition
from shop.kernel.ids import new_id
from tests.notifications.webhooks import factories
from tests.notifications.webhooks.factories import FakeSender, attempt, delivery

pytestmark = pytest.mark.django_db


def row() -> WebhookEndpoint:
    return WebhookEndpoint.objects.get()


@pytest.mark.parametrize("current", EndpointState)
@pytest.mark.parametrize("wanted", EndpointState)
def test_endpoints_move_as_the_table_says(current: EndpointState, wanted: EndpointState) -> None:
    if wanted in ENDPOINT_TRANSITIONS[current]:
        check_endpoint_move(current=current, wanted=wanted)
    else:
        with pytest.raises(IllegalTransition):
            check_endpoint_move(current=current, wanted=wanted)


def test_the_secret_is_shown_to_who_made_it_and_to_nobody_else(endpoint: EndpointView, now: datetime) -> None:
    assert endpoint.secret is not None
    assert endpoint.secret.startswith("whsec_")
    assert queries.endpoint(endpoint_id=endpoint.endpoint_id, now=now).secret is None
    assert [view.secret for view in queries.endpoints(limit=10, after=None, before=None, now=now)] == [None]


def test_an_address_that_may_not_be_called_makes_no_endpoint(sender: FakeSender, now: datetime) -> None:
    sender.refuses = AddressRefused("It leads inside.")

    with pytest.raises(WebhookUrlNotAllowed, match="It leads inside"):
        factories.endpoint(now=now)

    assert WebhookEndpoint.objects.count() == 0


def test_an_unknown_event_makes_no_endpoint(sender: FakeSender, now: datetime) -> None:
    with pytest.raises(UnknownEventType):
        factories.endpoint(now=now, events=("order.*", "orders.paid"))

    assert WebhookEndpoint.objects.count() == 0


def test_an_address_is_told_once_until_it_is_removed(endpoint: EndpointView, now: datetime) -> None:
    with pytest.raises(WebhookEndpointExists):
        factories.endpoint(now=now)


def test_a_removed_address_may_come_back_with_a_new_secret(endpoint: EndpointView, now: datetime) -> None:
    webhooks.remove_endpoint(endpoint_id=endpoint.endpoint_id, now=now)

    again = factories.endpoint(now=now)

    assert again.endpoint_id != endpoint.endpoint_id
    assert again.secret != endpoint.secret


def test_removing_forgets_secrets_and_what_waits(endpoint: EndpointView, sender: FakeSender, now: datetime) -> None:
    webhooks.rotate_secret(endpoint_id=endpoint.endpoint_id, now=now)
    delivery(now=now)
    attempt(now=now)
    delivery(now=now)

    webhooks.remove_endpoint(endpoint_id=endpoint.endpoint_id, now=now)

    assert (row().state, row().seed, row().previous_seed) == ("removed", "", "")
    assert sorted(WebhookDelivery.objects.values_list("state", "last_error")) == [
        ("dead", "The endpoint was removed."),
        ("delivered", ""),
    ]
    assert attempt(now=now + timedelta(days=1)) == []
    assert queries.endpoints(limit=10, after=None, before=None, now=now) == []


def test_of_what_is_removed_nothing_can_be_asked(endpoint: EndpointView, now: datetime) -> None:
    webhooks.remove_endpoint(endpoint_id=endpoint.endpoint_id, now=now)

    for endpoint_id in (endpoint.endpoint_id, new_id()):
        for ask in (
            lambda known=endpoint_id: webhooks.remove_endpoint(endpoint_id=known, now=now),
            lambda known=endpoint_id: webhooks.rotate_secret(endpoint_id=known, now=now),
            lambda known=endpoint_id: webhooks.ping_endpoint(endpoint_id=known, now=now),
            lambda known=endpoint_id: webhooks.enable_endpoint(endpoint_id=known),
            lambda known=endpoint_id: queries.endpoint(endpoint_id=known, now=now),
            lambda known=endpoint_id: queries.deliveries(endpoint_id=known, limit=1, after=None, before=None),
        ):
            with pytest.raises(WebhookNotFound):
                ask()


def test_a_ping_is_sent_whatever_the_endpoint_hears(sender: FakeSender, now: datetime) -> None:
    made = factories.endpoint(now=now, events=("refund.*",))

    sent = webhooks.ping_endpoint(endpoint_id=made.endpoint_id, now=now)
    attempt(now=now)

    assert (sent.type, sent.state) == ("webhook.ping", "pending")
    assert b'"type":"webhook.ping"' in sender.posted[0][2]
    assert queries.delivery(delivery_id=sent.delivery_id).log[0].answer == "thank you"


def test_a_ping_ends_a_pause(endpoint: EndpointView, sender: FakeSender, now: datetime) -> None:
    delivery(now=now)
    sender.answers = [Answer(status=500)] * 3
    for second in (0, 6, 400):
        attempt(now=now + timedelta(seconds=second))
    at = now + timedelta(seconds=401)
    assert row().paused_until is not None

    webhooks.ping_endpoint(endpoint_id=endpoint.endpoint_id, now=at)

    assert attempt(now=at) == ["delivered"]
    assert row().failures == 0


def test_a_disabled_endpoint_is_told_nothing_and_what_waits_is_sent_once_it_is_enabled(
    endpoint: EndpointView, sender: FakeSender, now: datetime
) -> None:
    delivery(now=now)
    webhooks.disable_endpoint(endpoint_id=endpoint.endpoint_id, now=now)
    factories.told(factories.paid(now=now), now=now)

    assert attempt(now=now) == []
    assert WebhookDelivery.objects.count() == 1
    with pytest.raises(WebhookEndpointDisabled):
        webhooks.ping_endpoint(endpoint_id=endpoint.endpoint_id, now=now)

    webhooks.enable_endpoint(endpoint_id=endpoint.endpoint_id)

    assert (row().state, row().disabled_because, row().disabled_at) == ("active", "", None)
    assert attempt(now=now) == ["delivered"]
    with pytest.raises(IllegalTransition):
        webhooks.enable_endpoint(endpoint_id=endpoint.endpoint_id)


def test_who_has_seen_why_an_endpoint_was_disabled_says_so(
    endpoint: EndpointView, sender: FakeSender, now: datetime
) -> None:
    delivery(now=now)
    sender.answers = [Answer(status=410)]
    attempt(now=now)
    assert queries.webhook_figures(now=now).endpoints["gone"] == 1

    webhooks.disable_endpoint(endpoint_id=endpoint.endpoint_id, now=now + timedelta(days=1))

    assert queries.webhook_figures(now=now).endpoints == {
        "active": 0, "paused": 0, "gone": 0, "failing": 0, "by_hand": 1,
    }  # fmt: skip
    assert row().disabled_at == now


def test_a_paused_endpoint_is_counted_as_such(endpoint: EndpointView, now: datetime) -> None:
    WebhookEndpoint.objects.update(failures=3, paused_until=now + timedelta(seconds=1))

    assert queries.webhook_figures(now=now).endpoints["paused"] == 1
    assert queries.webhook_figures(now=now + timedelta(seconds=2)).endpoints["active"] == 1


def test_a_healthy_endpoint_s_delivery_that_nobody_takes_up_is_overdue(
    endpoint: EndpointView, sender: FakeSender, now: datetime
) -> None:
    assert queries.webhook_due_since() is None
    delivery(now=now)
    assert queries.webhook_due_since() == now

    # A backlog: who is served all the time is slow, not forgotten.
    WebhookEndpoint.objects.update(served_at=now + timedelta(minutes=3))
    assert queries.webhook_due_since() == now + timedelta(minutes=3)
    # A failing one is tried when its time comes.
    WebhookEndpoint.objects.update(failures=1)
    assert queries.webhook_due_since() is None


def test_an_endpoint_is_read_by_its_id(endpoint: EndpointView, now: datetime) -> None:
    assert queries.endpoint(endpoint_id=endpoint.endpoint_id, now=now).url == endpoint.url
