"""What support staff see of mails, and sending one again."""

import html
from datetime import datetime

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from pytest_django.fixtures import Settings

from notifications import queries
from notifications.admin import mails_panel
from notifications.models import Mail
from notifications.states import State
from orders.dto import OrderView
from tests.clients import logged_in
from tests.notifications.factories import written

pytestmark = pytest.mark.django_db

LIST = "/admin/notifications/mail/"


@pytest.fixture
def support() -> Client:
    return logged_in("view_mail", "change_mail")


@pytest.fixture
def mail(order: OrderView, now: datetime) -> Mail:
    """A mail that was sent."""
    mail = written(order, now=now)
    Mail.objects.filter(pk=mail.pk).update(state=State.SENT, sent_at=now, next_attempt_at=None)
    return Mail.objects.get(pk=mail.pk)


def shown(client: Client, term: str) -> int:
    return len(client.get(LIST, {"q": term}).context["cl"].result_list)


def test_mails_are_found_by_what_a_person_has_at_hand(support: Client, mail: Mail) -> None:
    found = [
        mail.order_number, mail.order_number.lower().replace("-", " "), "ADA@example.com",
        str(mail.pk), str(mail.order_id), "",
    ]  # fmt: skip

    assert [shown(support, term) for term in found] == [1] * 6
    assert [shown(support, term) for term in ("eve@example.com", "AAAA-AAAA-AA", "nonsense")] == [0] * 3
    assert len(support.get(LIST, {"state__exact": "dead"}).context["cl"].result_list) == 0


def test_the_page_shows_the_mail_in_a_frame_that_may_do_nothing(support: Client, mail: Mail) -> None:
    page = support.get(f"{LIST}{mail.pk}/change/").content.decode()

    assert f"Ihre Bestellung {mail.order_number}" in page
    assert "<iframe sandbox srcdoc=" in page
    assert html.escape("<h1 style=") in page
    assert "<h1 style=" not in page
    assert f"{LIST}{mail.pk}/resend/" in page


def test_the_page_is_there_when_the_words_are_not(support: Client, mail: Mail, settings: Settings) -> None:
    settings.FRONTEND_ORDER_URL = "{nobody_knows}"

    page = support.get(f"{LIST}{mail.pk}/change/")

    assert "cannot be put into words: KeyError" in page.content.decode()


def test_sending_again_is_logged_and_leads_back(support: Client, mail: Mail) -> None:
    there = f"/admin/orders/order/{mail.order_id}/change/"

    answer = support.post(f"{LIST}{mail.pk}/resend/", {"next": there})

    assert (answer.status_code, answer.headers["Location"]) == (302, there)
    mail.refresh_from_db()
    assert (mail.state, mail.resends) == ("pending", 1)
    assert LogEntry.objects.get().change_message == "Sent again; it was sent."


def test_a_mail_on_its_way_is_left_alone_and_staff_are_told(support: Client, mail: Mail) -> None:
    address = f"{LIST}{mail.pk}/resend/"

    support.post(address)
    page = support.post(address, follow=True)

    assert "cannot move from pending to pending" in page.content.decode()
    mail.refresh_from_db()
    assert mail.resends == 1
    assert LogEntry.objects.count() == 1


def test_several_are_sent_again_at_once(support: Client, mail: Mail, order: OrderView, now: datetime) -> None:
    on_its_way = written(order, now=now)

    page = support.post(
        LIST, {"action": "resend_chosen", "_selected_action": [str(mail.pk), str(on_its_way.pk)]}, follow=True
    ).content.decode()

    assert "1 are sent again." in page
    assert f"Left alone: {on_its_way}." in page
    assert list(Mail.objects.order_by("id").values_list("resends", flat=True)) == [1, 0]


@pytest.mark.parametrize("state", [State.DEAD, State.UNCONFIRMED])
def test_a_mail_nobody_needs_is_dismissed_and_rings_no_more(
    support: Client, mail: Mail, now: datetime, state: State
) -> None:
    Mail.objects.update(state=state)
    assert f"{LIST}{mail.pk}/dismiss/" in support.get(f"{LIST}{mail.pk}/change/").content.decode()

    support.post(f"{LIST}{mail.pk}/dismiss/")

    mail.refresh_from_db()
    assert mail.state == "dismissed"
    assert LogEntry.objects.get().change_message == f"Dismissed; it was {state}."
    assert set(queries.waiting(now=now).by_state.values()) == {0}
    page = support.get(f"{LIST}{mail.pk}/change/").content.decode()
    assert "dismiss/" not in page
    assert f"{LIST}{mail.pk}/resend/" in page


def test_what_was_sent_is_not_dismissed(support: Client, mail: Mail, order: OrderView, now: datetime) -> None:
    dead = written(order, now=now)
    Mail.objects.filter(pk=dead.pk).update(state=State.DEAD, next_attempt_at=None)

    page = support.post(
        LIST, {"action": "dismiss_chosen", "_selected_action": [str(mail.pk), str(dead.pk)]}, follow=True
    ).content.decode()

    assert "1 are dismissed." in page
    assert f"Left alone: {mail}." in page
    assert list(Mail.objects.order_by("id").values_list("state", flat=True)) == ["sent", "dismissed"]


def test_who_may_only_look_cannot_send(mail: Mail) -> None:
    viewer = logged_in("view_mail")

    refused = viewer.post(f"{LIST}{mail.pk}/resend/")
    viewer.post(LIST, {"action": "resend_chosen", "_selected_action": [str(mail.pk)]})

    assert refused.status_code == 403
    assert "resend" not in viewer.get(f"{LIST}{mail.pk}/change/").content.decode()
    mail.refresh_from_db()
    assert mail.resends == 0


def test_who_may_only_look_cannot_dismiss(mail: Mail) -> None:
    Mail.objects.update(state=State.DEAD)

    refused = logged_in("view_mail").post(f"{LIST}{mail.pk}/dismiss/")

    assert refused.status_code == 403
    mail.refresh_from_db()
    assert mail.state == "dead"


def test_looking_changes_nothing(support: Client, mail: Mail) -> None:
    assert support.get(f"{LIST}{mail.pk}/resend/").status_code == 405
    assert support.post(f"{LIST}{mail.pk}/change/", {"recipient": "eve@example.com"}).status_code == 403
    assert support.post(f"{LIST}{mail.pk}/delete/").status_code == 403
    assert support.get(f"{LIST}add/").status_code == 403
    assert support.post(f"{LIST}{mail.order_id}/resend/").status_code == 404
    mail.refresh_from_db()
    assert (mail.recipient, mail.resends) == ("Ada@Example.com", 0)


def test_the_orders_page_has_a_panel(mail: Mail, order: OrderView, now: datetime) -> None:
    pending = written(order, now=now)

    panel = mails_panel(order_id=order.order_id)

    assert [(row.cells[2], row.cells[3], len(row.actions)) for row in panel.rows] == [
        ("Ada@Example.com", "sent", 1),
        ("Ada@Example.com", "pending", 0),
    ]
    assert panel.rows[0].actions[0].url == f"{LIST}{mail.pk}/resend/"
    assert str(pending.pk) in getattr(panel.rows[1].cells[1], "url", "")
