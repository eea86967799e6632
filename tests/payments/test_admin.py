"""What support staff see of payments, and may do."""

from datetime import UTC, datetime

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from pytest_django import Settings

from orders.dto import OrderView
from payments.admin import attempts_panel, callbacks_panel
from payments.models import Attempt, Callback
from shop.kernel.ids import new_id
from shop.kernel.money import Money
from shop.kernel.panels import Link
from tests.clients import logged_in
from tests.payments.factories import received, status_of, told
from tests.payments.fakes import FakeGateway

pytestmark = pytest.mark.django_db

ATTEMPTS, CALLBACKS = "/admin/payments/attempt/", "/admin/payments/callback/"


@pytest.fixture
def now() -> datetime:
    """The present: the admin reads the clock itself."""
    return datetime.now(UTC)


@pytest.fixture
def support() -> Client:
    return logged_in("view_attempt", "change_attempt", "view_callback", "change_callback", "view_move", "view_order")


def test_an_attempt_shows_its_money_its_history_and_what_may_be_done(
    support: Client, pending: Attempt, order: OrderView, now: datetime
) -> None:
    received(pending.session_id, now)

    page = support.get(f"{ATTEMPTS}{pending.pk}/change/").content.decode()

    for text in (pending.reference, pending.session_id, "28.70 EUR", order.number, "the gateway says open"):
        assert text in page
    assert "session.paid (received)" in page
    assert f'action="{ATTEMPTS}{pending.pk}/ask/"' in page
    assert f'action="{ATTEMPTS}{pending.pk}/cancel/"' in page


def test_nothing_can_be_edited_added_or_deleted(support: Client, pending: Attempt) -> None:
    page = f"{ATTEMPTS}{pending.pk}"

    assert support.post(f"{page}/change/", {"status": "succeeded"}).status_code == 403
    assert support.post(f"{page}/delete/", {"post": "yes"}).status_code == 403
    assert support.get(f"{ATTEMPTS}add/").status_code == 403
    assert status_of(pending.pk) == "pending"


@pytest.mark.parametrize("known", ["reference", "session_id"])
def test_an_attempt_is_found_by_what_the_gateway_knows(known: str, support: Client, pending: Attempt) -> None:
    def shown(term: str) -> int:
        return len(support.get(ATTEMPTS, {"q": term}).context["cl"].result_list)

    assert shown(f" {getattr(pending, known)} ") == 1
    assert shown(" ") == 1
    assert shown("sess_other") == 0


def test_a_callback_shows_its_body_and_is_found_by_event_and_session(support: Client, now: datetime) -> None:
    callback_id = received("sess_1", now, event_id="evt_77")

    page = support.get(f"{CALLBACKS}{callback_id}/change/").content.decode()

    assert "sess_1" in page
    assert "&quot;event_id&quot;: &quot;evt_77&quot;" in page
    for term, found in (("evt_77", 1), ("sess_1", 1), (" ", 1), ("evt_78", 0)):
        assert len(support.get(CALLBACKS, {"q": term}).context["cl"].result_list) == found


def test_asking_the_gateway_now_settles_and_goes_back(
    support: Client, pending: Attempt, order: OrderView, gateway: FakeGateway
) -> None:
    gateway.pay(pending.session_id)
    back = f"/admin/orders/order/{order.order_id}/change/"

    answer = support.post(f"{ATTEMPTS}{pending.pk}/ask/", {"next": back})

    assert (answer.status_code, answer["Location"]) == (302, back)
    assert status_of(pending.pk) == "succeeded"
    assert told(order) == ["payment.success"]
    assert "The gateway was asked" in LogEntry.objects.get().change_message


def test_going_back_leads_nowhere_else(support: Client, pending: Attempt) -> None:
    answer = support.post(f"{ATTEMPTS}{pending.pk}/ask/", {"next": "//evil.example"})

    assert answer["Location"] == f"{ATTEMPTS}{pending.pk}/change/"


def test_cancelling_closes_at_the_gateway(support: Client, pending: Attempt) -> None:
    support.post(f"{ATTEMPTS}{pending.pk}/cancel/")

    assert status_of(pending.pk) == "cancelled"
    assert LogEntry.objects.get().change_message == "Closed at the gateway, now cancelled."


def test_a_refusal_and_a_silence_are_told_and_not_logged(
    support: Client, pending: Attempt, gateway: FakeGateway
) -> None:
    gateway.fall_silent("fetch_session")
    silent = support.post(f"{ATTEMPTS}{pending.pk}/ask/", follow=True).content.decode()
    gateway.pay(pending.session_id)
    refused = support.post(f"{ATTEMPTS}{pending.pk}/cancel/", follow=True).content.decode()

    assert "The gateway gave no answer" in silent
    assert "cannot move from succeeded to cancelled" in refused
    assert not LogEntry.objects.exists()


def test_a_dead_callback_is_retried(support: Client, now: datetime) -> None:
    callback_id = received("sess_1", now)
    Callback.objects.update(state="dead", next_attempt_at=None)

    support.post(f"{CALLBACKS}{callback_id}/retry/")

    assert Callback.objects.get().state == "received"


def test_a_callback_that_means_nothing_is_dismissed(support: Client, now: datetime) -> None:
    callback_id = received("sess_1", now)
    Callback.objects.update(state="dead", next_attempt_at=None)

    support.post(f"{CALLBACKS}{callback_id}/dismiss/")

    assert Callback.objects.get().state == "dismissed"
    assert "dismiss/" not in support.get(f"{CALLBACKS}{callback_id}/change/").content.decode()


def test_a_payment_in_review_is_given_up(support: Client, pending: Attempt, gateway: FakeGateway) -> None:
    gateway.pay(pending.session_id)
    gateway.lies = {"amount": Money(2_871, "EUR")}
    support.post(f"{ATTEMPTS}{pending.pk}/ask/")
    page = support.get(f"{ATTEMPTS}{pending.pk}/change/").content.decode()

    support.post(f"{ATTEMPTS}{pending.pk}/give_up/")

    assert f'action="{ATTEMPTS}{pending.pk}/give_up/"' in page
    assert status_of(pending.pk) == "failed"
    assert [entry.change_message.split(".")[0] for entry in LogEntry.objects.order_by("pk")][
        -1
    ] == "Given up, now failed"


def test_acting_takes_a_post_a_permission_and_a_row(pending: Attempt, gateway: FakeGateway) -> None:
    looking_only = logged_in("view_attempt")
    gateway.calls.clear()

    assert looking_only.get(f"{ATTEMPTS}{pending.pk}/ask/").status_code == 405
    assert looking_only.post(f"{ATTEMPTS}{pending.pk}/ask/").status_code == 403
    assert Client().post(f"{ATTEMPTS}{pending.pk}/ask/").status_code == 302
    assert gateway.calls == []


@pytest.mark.parametrize("attempt_id", ["x", "01a20000-0000-7000-8000-000000000000"])
def test_acting_on_nothing_is_not_found(attempt_id: str, support: Client) -> None:
    assert support.post(f"{ATTEMPTS}{attempt_id}/ask/").status_code == 404


def test_the_panels_of_an_order_show_attempts_and_callbacks(
    pending: Attempt, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    callback_id = received(pending.session_id, now)
    Callback.objects.update(state="parked")

    attempts, callbacks = attempts_panel(order_id=order.order_id), callbacks_panel(order_id=order.order_id)

    (attempt,), (callback,) = attempts.rows, callbacks.rows
    assert attempt.cells[1] == Link(pending.reference, f"{ATTEMPTS}{pending.pk}/change/")
    assert [action.label for action in attempt.actions] == ["Ask the gateway now", "Cancel"]
    assert callback.cells[1] == Link("evt_1", f"{CALLBACKS}{callback_id}/change/")
    assert [action.label for action in callback.actions] == ["Retry", "Dismiss"]
    assert len(attempt.cells) == len(attempts.columns)
    assert len(callback.cells) == len(callbacks.columns)


def test_what_is_done_offers_nothing_to_do(pending: Attempt, order: OrderView, now: datetime) -> None:
    received(pending.session_id, now)
    all_back = {"refund_held": pending.amount, "refunded": pending.amount}
    Attempt.objects.update(status="succeeded", captured=pending.amount, **all_back)
    Callback.objects.update(state="applied")

    assert attempts_panel(order_id=order.order_id).rows[0].actions == ()
    assert callbacks_panel(order_id=order.order_id).rows[0].actions == ()


def test_an_order_nothing_is_known_of_has_empty_panels() -> None:
    assert attempts_panel(order_id=new_id()).rows == ()
    assert callbacks_panel(order_id=new_id()).rows == ()


def test_the_orders_page_shows_them(support: Client, pending: Attempt, order: OrderView, settings: Settings) -> None:
    settings.ORDER_PANELS = ["payments.admin.attempts_panel", "payments.admin.callbacks_panel"]

    page = support.get(f"/admin/orders/order/{order.order_id}/change/").content.decode()

    assert pending.reference in page
    assert f'action="{ATTEMPTS}{pending.pk}/ask/"' in page
