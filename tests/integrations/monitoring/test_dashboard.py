"""The admin's first page: right numbers, the same number of queries, and nothing a person may not see."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import date, timedelta

import pytest
import time_machine
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from integrations.analytics.models import DailyCount
from integrations.kafka.models import Parked
from integrations.monitoring.dashboard import History
from shop.kernel.auth.models import User
from shop.kernel.clock import utc_now
from shop.kernel.ids import new_id
from tests.conftest import Statements

pytestmark = pytest.mark.django_db

TODAY = date(2026, 11, 22)


@pytest.fixture(autouse=True)
def _a_sunday_in_november() -> object:
    with time_machine.travel("2026-11-22T12:00:00Z", tick=True):
        yield


def counted(name: str, *, ago: int, count: int, amount: int = 0, currency: str = "EUR") -> None:
    DailyCount.objects.create(day=TODAY - timedelta(days=ago), name=name, count=count, amount=amount, currency=currency)


def dead_letter() -> None:
    Parked.objects.create(
        consumer="orders",
        event_id=new_id(),
        type="order.created.v1",
        key="k",
        topic="order.created",
        value=b"{}",
        headers={},
        state="dead",
        next_attempt_at=utc_now(),
        parked_at=utc_now(),
    )


def test_an_empty_shop_has_a_page(support: Client) -> None:
    page = support.get("/admin/")

    assert page.status_code == 200
    assert [card.today for card in page.context["cards"]] == ["0", "0", "0", "0"]
    assert [chart.title for chart in page.context["charts"]] == ["Orders and failed payments"]
    assert {row.count for row in page.context["waiting"]} == {0}


def test_today_stands_beside_yesterday(support: Client) -> None:
    counted("Order Placed", ago=0, count=5, amount=10_000)
    counted("Order Placed", ago=0, count=2, amount=3_000, currency="JPY")
    counted("Order Placed", ago=1, count=9, amount=20_000)
    counted("Order Completed", ago=0, count=3, amount=123_456)
    counted("Order Completed", ago=0, count=1, amount=1_500, currency="JPY")
    counted("Payment Failed", ago=1, count=4)

    cards = support.get("/admin/").context["cards"]

    assert [(card.title, card.today, card.yesterday) for card in cards] == [
        ("orders placed", "7", "9"),
        ("orders paid", "4", "0"),
        ("payments failed", "0", "4"),
        ("revenue", "1,234.56 EUR · 1,500 JPY", "0"),
    ]


def test_the_charts_show_two_weeks_with_their_gaps_and_money_in_major_units(support: Client) -> None:
    counted("Order Placed", ago=0, count=5)
    counted("Order Placed", ago=13, count=1)
    counted("Order Placed", ago=14, count=99)
    counted("Order Completed", ago=2, count=3, amount=1_999)
    counted("Order Completed", ago=2, count=3, amount=1_999, currency="KWD")
    counted("Product Added", ago=2, count=3, amount=1_999)

    orders, euros, dinars = support.get("/admin/").context["charts"]

    drawn = json.loads(orders.data)
    assert drawn["labels"][0] == "09.11."
    assert drawn["labels"][-1] == "22.11."
    placed, paid, failed = (line["data"] for line in drawn["datasets"])
    assert placed == [1, *[0] * 12, 5]
    assert paid == [*[0] * 11, 6, 0, 0]
    assert failed == [0] * 14
    assert (euros.title, json.loads(euros.data)["datasets"][0]["data"][-3]) == ("Revenue in EUR", 19.99)
    assert (dinars.title, json.loads(dinars.data)["datasets"][0]["data"][-3]) == ("Revenue in KWD", 1.999)


def test_what_waits_for_a_person_is_counted_and_leads_there(support: Client) -> None:
    dead_letter()
    dead_letter()

    waiting = {row.what: row for row in support.get("/admin/").context["waiting"]}

    assert waiting["dead letters"].count == 2
    for what in ("payments in review", "refunds in review"):
        assert waiting[what].url.endswith("?review=1")
    listed = support.get(waiting["dead letters"].url)
    assert len(listed.context["cl"].result_list) == 2
    for row in waiting.values():
        answer = support.get(row.url)
        assert (answer.status_code, "e=1" in answer.request["QUERY_STRING"]) == (200, False), row.what


@pytest.mark.parametrize("much", [1, 5])
def test_the_page_costs_the_same_whatever_there_is(
    support: Client, statements: Callable[[], AbstractContextManager[Statements]], much: int
) -> None:
    for ago in range(much):
        for currency in ("EUR", "JPY")[: 1 + (much > 1)]:
            counted("Order Completed", ago=ago, count=3, amount=1_999, currency=currency)
        dead_letter()
    support.get("/admin/")

    with statements() as seen:
        support.get("/admin/")

    # The session, the user, the daily counts and twenty figures.
    assert len(seen) == 24


def staff_with(*permissions: str) -> Client:
    """Return the browser of somebody who may see only this."""
    user = User.objects.create(email=f"{new_id()}@example.com", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def test_who_may_see_nothing_sees_an_empty_page() -> None:
    page = staff_with().get("/admin/")

    assert page.status_code == 200
    for part in ("cards", "charts", "waiting"):
        assert not page.context.get(part)


def test_who_may_see_orders_sees_what_waits_and_no_revenue() -> None:
    page = staff_with("view_order").get("/admin/")

    assert page.context["waiting"]
    assert not page.context.get("cards")


def test_the_sidebar_is_in_the_order_of_a_purchase_and_every_page_opens(support: Client) -> None:
    groups = support.get("/admin/").context["sidebar_navigation"]
    items = [item for group in groups for item in group["items"]]

    titles = [item["title"] for item in items]
    named = [
        *("Products", "Stock", "Carts", "Checkouts", "Orders", "Payments", "Callbacks", "Mails"),
        *("Events", "Dead letters", "Analytics", "People", "API keys"),
    ]
    assert [title for title in titles if title in named] == named
    for item in items:
        assert support.get(str(item["link"])).status_code == 200, item["title"]


def test_every_model_of_ours_in_the_admin_is_in_the_sidebar(support: Client) -> None:
    page = support.get("/admin/")
    linked = {str(item["link"]) for group in page.context["sidebar_navigation"] for item in group["items"]}

    registered = {model["admin_url"] for app in page.context["app_list"] for model in app["models"]}
    assert registered - linked == set()


def test_the_sidebar_shows_what_one_may_open() -> None:
    groups = staff_with("view_order").get("/admin/").context["sidebar_navigation"]

    shown = {item["title"] for group in groups for item in group["items"] if item["has_permission"]}
    assert shown == {"Overview", "Orders"}


def test_nobody_takes_this_for_the_shop_that_earns_money(support: Client) -> None:
    page = support.get("/admin/").content.decode()

    assert "Kupfer &amp; Klee" in page
    assert "Development" in page
    assert reverse("admin:orders_order_changelist") in page


def test_amounts_in_the_list_are_in_major_units(support: Client) -> None:
    counted("Order Completed", ago=0, count=3, amount=1_999)
    counted("Notification Sent", ago=0, count=3, currency="")

    page = support.get(reverse("admin:analytics_dailycount_changelist") + "?name=Order+Completed")

    assert "19.99 EUR" in page.content.decode()
    assert [row.name for row in page.context["cl"].result_list] == ["Order Completed"]


def test_history_without_a_day_is_zero() -> None:
    assert [card.today for card in History(counted=[], today=TODAY).cards()] == ["0"] * 4
