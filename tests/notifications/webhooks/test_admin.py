"""What support staff see of webhooks, and what they may do."""

from datetime import datetime

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from notifications.admin import webhooks_panel
from notifications.dto import EndpointView
from notifications.models import WebhookDelivery, WebhookEndpoint
from notifications.ports import Answer
from orders.dto import OrderView
from shop.kernel.auth.dto import Caller
from tests.clients import logged_in
from tests.notifications.webhooks import factories
from tests.notifications.webhooks.factories import FakeSender, attempt, delivery, told
from tests.orders.factories import placed

pytestmark = pytest.mark.django_db

ENDPOINTS = "/admin/notifications/webhookendpoint/"
DELIVERIES = "/admin/notifications/webhookdelivery/"


@pytest.fixture
def support() -> Client:
    return logged_in("view_webhookendpoint", "change_webhookendpoint", "view_webhookdelivery", "change_webhookdelivery")


@pytest.fixture
def order(shopper: Caller, now: datetime) -> OrderView:
    return placed(caller=shopper, now=now)


def shown(client: Client, page: str, term: str) -> int:
    return len(client.get(page, {"q": term}).context["cl"].result_list)


def test_endpoints_and_deliveries_are_found_by_what_a_person_has_at_hand(
    support: Client, endpoint: EndpointView, now: datetime
) -> None:
    row = delivery(now=now)

    assert [shown(support, ENDPOINTS, term) for term in (endpoint.url, str(endpoint.endpoint_id), "x", "")] == [
        1,
        1,
        0,
        1,
    ]
    ids = (row.pk, row.event_id, row.subject, endpoint.endpoint_id, "nonsense", "")
    assert [shown(support, DELIVERIES, str(term)) for term in ids] == [1, 1, 1, 1, 0, 1]
    assert len(support.get(DELIVERIES, {"state__exact": "dead"}).context["cl"].result_list) == 0
    assert len(support.get(DELIVERIES, {"type": "order.paid"}).context["cl"].result_list) == 1


def test_no_page_shows_what_signs(support: Client, endpoint: EndpointView, sender: FakeSender, now: datetime) -> None:
    row = delivery(now=now)
    attempt(now=now)
    stored = WebhookEndpoint.objects.get()

    pages = "".join(
        support.get(path).content.decode()
        for path in (ENDPOINTS, f"{ENDPOINTS}{stored.pk}/change/", DELIVERIES, f"{DELIVERIES}{row.pk}/change/")
    )

    assert endpoint.secret is not None
    assert endpoint.secret.removeprefix("whsec_") not in pages
    assert stored.seed not in pages
    assert sender.posted[0][1]["webhook-signature"] not in pages


def test_a_delivery_shows_what_was_sent_and_what_came_back(
    support: Client, endpoint: EndpointView, sender: FakeSender, now: datetime
) -> None:
    row = delivery(now=now)
    sender.answers = [Answer(status=500, body="<script>alert(1)</script>")]
    attempt(now=now)

    page = support.get(f"{DELIVERIES}{row.pk}/change/").content.decode()

    assert "&quot;type&quot;: &quot;order.paid&quot;" in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script>alert(1)" not in page
    assert "Deliver now" in page


def test_a_delivery_is_made_again(support: Client, endpoint: EndpointView, sender: FakeSender, now: datetime) -> None:
    row = delivery(now=now)
    attempt(now=now)

    answer = support.post(f"{DELIVERIES}{row.pk}/redeliver/")

    assert answer.status_code == 302
    row.refresh_from_db()
    assert (row.state, row.redeliveries) == ("pending", 1)
    assert LogEntry.objects.get().change_message == "Delivered again; it was delivered."


def test_several_are_made_again_and_those_that_cannot_be_are_named(
    support: Client, endpoint: EndpointView, sender: FakeSender, now: datetime
) -> None:
    good, forgotten = delivery(now=now), delivery(now=now)
    WebhookDelivery.objects.filter(pk=forgotten.pk).update(body="")

    page = support.post(
        DELIVERIES,
        {"action": "redeliver_chosen", "_selected_action": [str(good.pk), str(forgotten.pk)]},
        follow=True,
    ).content.decode()

    assert "1 are delivered again." in page
    assert f"Left alone: {forgotten}." in page
    assert "It is not kept any more." in support.get(f"{DELIVERIES}{forgotten.pk}/change/").content.decode()


def test_an_endpoint_is_tried_disabled_and_enabled(support: Client, endpoint: EndpointView, now: datetime) -> None:
    page = f"{ENDPOINTS}{endpoint.endpoint_id}/"

    support.post(f"{page}ping/")
    assert WebhookDelivery.objects.get().type == "webhook.ping"
    assert "a ping" in support.get(f"{DELIVERIES}{WebhookDelivery.objects.get().pk}/change/").content.decode()

    support.post(f"{page}disable/")
    assert WebhookEndpoint.objects.get().disabled_because == "by_hand"
    text = support.get(f"{page}change/").content.decode()
    assert "/enable/" in text
    assert "Leave it disabled" not in text
    refused = support.post(f"{page}ping/", follow=True).content.decode()
    assert "This endpoint is disabled: by_hand." in refused

    support.post(f"{page}enable/")
    assert WebhookEndpoint.objects.get().state == "active"


def test_why_the_shop_disabled_an_endpoint_is_shown_until_somebody_has_seen_it(
    support: Client, endpoint: EndpointView, sender: FakeSender, now: datetime
) -> None:
    delivery(now=now)
    sender.answers = [Answer(status=410)]
    attempt(now=now)
    page = f"{ENDPOINTS}{endpoint.endpoint_id}/"

    assert "Leave it disabled" in support.get(f"{page}change/").content.decode()
    support.post(f"{page}disable/")

    assert WebhookEndpoint.objects.get().disabled_because == "by_hand"


def test_of_a_removed_endpoint_nothing_is_offered(support: Client, endpoint: EndpointView, now: datetime) -> None:
    WebhookEndpoint.objects.update(state="removed", seed="")

    assert "Send a ping" not in support.get(f"{ENDPOINTS}{endpoint.endpoint_id}/change/").content.decode()


def test_who_may_only_look_cannot_act(endpoint: EndpointView, now: datetime) -> None:
    row = delivery(now=now)
    viewer = logged_in("view_webhookendpoint", "view_webhookdelivery")

    for path in (f"{DELIVERIES}{row.pk}/redeliver/", f"{ENDPOINTS}{endpoint.endpoint_id}/disable/"):
        assert viewer.post(path).status_code == 403

    assert WebhookEndpoint.objects.get().state == "active"


def test_the_orders_page_tells_who_was_told(
    order: OrderView, endpoint: EndpointView, sender: FakeSender, now: datetime
) -> None:
    told(factories.paid(now=now, order_id=order.order_id), now=now)
    told(factories.paid(now=now), now=now)

    panel = webhooks_panel(order_id=order.order_id)

    assert [(row.cells[2], row.cells[3], row.actions[0].label) for row in panel.rows] == [
        (endpoint.url, "pending", "Deliver now")
    ]
    page = logged_in(superuser=True).get(f"/admin/orders/order/{order.order_id}/change/").content.decode()
    assert endpoint.url in page


def test_a_paused_endpoint_says_so(support: Client, endpoint: EndpointView, now: datetime) -> None:
    before = support.get(ENDPOINTS).content.decode()

    WebhookEndpoint.objects.update(failures=9, paused_until=now.replace(year=2999))

    assert "paused" not in before
    assert "paused" in support.get(ENDPOINTS).content.decode()
