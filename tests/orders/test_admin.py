"""The support page."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from uuid import UUID

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client, RequestFactory
from pytest_django.fixtures import Settings

from orders.dto import RefundTold
from orders.models import Order
from orders.states import Status
from shop.kernel.auth.dto import Caller
from shop.kernel.ids import new_id
from shop.kernel.money import Money
from shop.kernel.panels import Action, Link, Panel, Row, way_back
from tests.clients import logged_in
from tests.orders.factories import again, hear, news, order_in, pay, placed, refunds_due

pytestmark = pytest.mark.django_db

LIST = "/admin/orders/order/"


def attempts_panel(*, order_id: UUID) -> Panel:
    """Stand in for another context's panel."""
    return Panel(
        title="Attempts",
        columns=("Reference", "State"),
        rows=(
            Row(cells=(Link("cs_<1>", f"/admin/attempts/{order_id}"), "pending"), actions=(Action("Ask now", "/ask"),)),
            Row(cells=("cs_2", "failed")),
        ),
    )


def by_reference(*, text: str) -> list[UUID]:
    """Stand in for another context's search: every order goes by the reference `cs_1`."""
    return list(Order.objects.values_list("pk", flat=True)) if text == "cs_1" else []


@pytest.fixture(autouse=True)
def _nothing_plugged_in(settings: Settings) -> None:
    settings.ORDER_PANELS = []
    settings.ORDER_SEARCHES = []


@pytest.fixture
def support() -> Client:
    return logged_in("view_order", "change_order")


def shown(client: Client, term: str) -> bool:
    return bool(client.get(LIST, {"q": term}).context["cl"].result_list)


def test_one_page_shows_lines_money_and_timeline(support: Client, shopper: Caller, now: datetime) -> None:
    order = placed(caller=shopper, now=now)
    pay(order, now=now)

    page = support.get(f"{LIST}{order.order_id}/change/").content.decode()

    for text in ("The MUG", "28.70 EUR", "11.90 EUR", "Ada@Example.com", "Ada Byron, Mole 1, 24103, Kiel, DE"):
        assert text in page
    for title in ("Lines", "Money received", "Timeline"):
        assert title in page


def test_other_contexts_show_their_panels_and_actions(
    support: Client, shopper: Caller, now: datetime, settings: Settings
) -> None:
    settings.ORDER_PANELS = ["tests.orders.test_admin.attempts_panel"]
    order = placed(caller=shopper, now=now)
    path = f"{LIST}{order.order_id}/change/"

    page = support.get(path).content.decode()

    assert f'href="/admin/attempts/{order.order_id}">cs_&lt;1&gt;</a>' in page
    assert '<form method="post" action="/ask">' in page
    assert f'<input type="hidden" name="next" value="{path}">' in page
    assert page.count("csrfmiddlewaretoken") >= 2


@pytest.mark.parametrize("spelling", ["{0}", " {0} ", "{1}", "{2}"])
def test_an_order_is_found_by_its_number_however_it_is_typed(
    spelling: str, support: Client, shopper: Caller, now: datetime
) -> None:
    number = placed(caller=shopper, now=now).number
    typed = spelling.format(number, number.lower().replace("-", ""), number.replace("0", "o").replace("1", "l"))

    assert shown(support, typed)


def test_an_order_is_found_by_email_id_and_a_gateways_reference(
    support: Client, shopper: Caller, now: datetime, settings: Settings
) -> None:
    settings.ORDER_SEARCHES = ["tests.orders.test_admin.by_reference"]
    order = placed(caller=shopper, now=now)

    assert shown(support, "ada@example.COM ")
    assert shown(support, str(order.order_id))
    assert shown(support, "cs_1")
    assert shown(support, " ")
    assert not shown(support, "bob@example.com")
    assert not shown(support, "cs_2")
    assert not shown(support, "R7KD-2MNP-XW")


def test_the_list_counts_no_rows(
    support: Client, shopper: Caller, now: datetime, statements: Callable[[], AbstractContextManager[list[str]]]
) -> None:
    placed(caller=shopper, now=now)

    with statements() as counted:
        support.get(LIST, {"needs_review__exact": "0"})

    assert [sql for sql in counted if "orders_order" in sql]
    assert not [sql for sql in counted if "COUNT(" in sql.upper()]


def test_nothing_is_added_changed_or_deleted(shopper: Caller, now: datetime) -> None:
    order = placed(caller=shopper, now=now)
    root = logged_in(superuser=True)

    assert root.get(f"{LIST}add/").status_code == 403
    assert root.get(f"{LIST}{order.order_id}/delete/").status_code == 403
    assert root.post(f"{LIST}{order.order_id}/change/", {"status": "paid"}).status_code == 403
    assert again(order) == order


@pytest.mark.parametrize("act", ["cancel", "fulfil", "reviewed"])
def test_a_note_with_a_card_number_is_asked_for_again(
    act: str, support: Client, shopper: Caller, now: datetime
) -> None:
    order = order_in(Status.PAID, caller=shopper, now=now)
    Order.objects.update(needs_review=True)

    answer = support.post(f"{LIST}{order.order_id}/{act}/", {"reason": "Paid by 4242 4242 4242 4242"})

    assert answer.status_code == 200
    assert "looks like a card number" in answer.content.decode()
    assert again(order).status == "paid"
    assert not LogEntry.objects.exists()


def test_an_order_is_cancelled_after_a_reason_and_the_log_says_so(
    support: Client, shopper: Caller, now: datetime
) -> None:
    order = order_in(Status.PAID, caller=shopper, now=now)
    path = f"{LIST}{order.order_id}/cancel/"

    asked = support.get(path)
    unreasoned = support.post(path, {"reason": " "})
    before = again(order)
    done = support.post(path, {"reason": "Broken in the store"})

    assert "Money that was taken goes back" in asked.content.decode()
    assert unreasoned.status_code == 200
    assert before == order
    assert (done.status_code, done.headers["Location"]) == (302, f"{LIST}{order.order_id}/change/")
    assert again(order).status == "cancelled"
    assert refunds_due(order) == [("cancelled", 2_870)]
    assert LogEntry.objects.get().change_message == "Cancelled: Broken in the store"


def test_an_order_is_sent_with_its_tracking_number(support: Client, shopper: Caller, now: datetime) -> None:
    order = order_in(Status.PAID, caller=shopper, now=now)

    support.post(f"{LIST}{order.order_id}/fulfil/", {"tracking": "0034", "reason": "Handed over"})

    assert (again(order).status, again(order).tracking) == ("fulfilled", "0034")
    assert LogEntry.objects.get().change_message == "Sent: Handed over"


def test_a_reviewed_order_leaves_the_list_of_those_that_need_a_person(
    support: Client, shopper: Caller, now: datetime
) -> None:
    order = placed(caller=shopper, now=now)
    pay(order, amount=Money(1, "USD"), now=now)

    support.post(f"{LIST}{order.order_id}/reviewed/", {"reason": "Sent back by hand"})

    assert not again(order).needs_review
    assert LogEntry.objects.get().change_message == "Reviewed: Sent back by hand"


def test_what_the_order_refuses_is_told_and_not_logged(support: Client, shopper: Caller, now: datetime) -> None:
    order = placed(caller=shopper, now=now)

    answer = support.post(f"{LIST}{order.order_id}/fulfil/", {"reason": "x"}, follow=True)

    assert "An order cannot move from pending_payment to fulfilled." in answer.content.decode()
    assert again(order) == order
    assert not LogEntry.objects.exists()


def test_goods_whose_money_has_all_gone_back_are_not_sent(support: Client, shopper: Caller, now: datetime) -> None:
    payment_id = new_id()
    order = placed(caller=shopper, now=now)
    pay(order, payment_id=payment_id, now=now)
    hear(order, news(RefundTold.SUCCEEDED, payment_id), now=now)

    page = support.get(f"{LIST}{order.order_id}/change/").content.decode()
    answer = support.post(f"{LIST}{order.order_id}/fulfil/", {"reason": "x"}, follow=True)

    assert f"{LIST}{order.order_id}/fulfil/" not in page
    assert "has gone back, or is on its way; its goods are not sent." in answer.content.decode()
    assert again(order).status == "paid"
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize(
    ("status", "offered"),
    [
        (Status.PENDING_PAYMENT, ["cancel"]),
        (Status.PAID, ["cancel", "fulfil"]),
        (Status.FULFILLED, []),
        (Status.EXPIRED, []),
        (Status.CANCELLED, []),
    ],
)
def test_only_what_the_state_allows_is_offered(
    status: Status, offered: list[str], support: Client, shopper: Caller, now: datetime
) -> None:
    order = order_in(status, caller=shopper, now=now)

    page = support.get(f"{LIST}{order.order_id}/change/").content.decode()

    found = [act for act in ("cancel", "fulfil", "reviewed") if f"{LIST}{order.order_id}/{act}/" in page]
    assert found == offered


def test_who_may_only_look_may_only_look(shopper: Caller, now: datetime) -> None:
    order = placed(caller=shopper, now=now)
    onlooker = logged_in("view_order")

    page = onlooker.get(f"{LIST}{order.order_id}/change/")
    acted = onlooker.post(f"{LIST}{order.order_id}/cancel/", {"reason": "x"})

    assert page.status_code == 200
    assert f"{LIST}{order.order_id}/cancel/" not in page.content.decode()
    assert acted.status_code == 403
    assert again(order) == order


@pytest.mark.parametrize("order_id", ["x", "01900000-0000-7000-8000-000000000000"])
def test_an_order_that_is_not_there_is_no_page(order_id: str, support: Client) -> None:
    assert support.get(f"{LIST}{order_id}/change/").status_code == 302
    assert support.get(f"{LIST}{order_id}/cancel/").status_code == 404


def test_an_action_leads_back_to_the_page_it_came_from_and_to_no_other_site() -> None:
    ours = RequestFactory().post("/ask", {"next": "/admin/orders/order/1/change/"})
    theirs = RequestFactory().post("/ask", {"next": "https://evil.example/"})

    assert way_back(ours, otherwise="/admin/") == "/admin/orders/order/1/change/"
    assert way_back(theirs, otherwise="/admin/") == "/admin/"
