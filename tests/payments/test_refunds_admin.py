"""What support staff see of money that goes back, and may do about it."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from orders.dto import OrderView
from payments.admin import attempts_panel, refunds_panel
from payments.models import Attempt, Refund
from payments.queries import orders_by_gateway_reference
from payments.states import AttemptStatus, RefundStatus
from shop.kernel.auth.dto import Caller
from shop.kernel.ids import new_id
from shop.kernel.panels import Link
from tests.clients import logged_in
from tests.payments.factories import attempt_in
from tests.payments.fakes import FakeGateway
from tests.payments.refunds import asked, given_back, held_and_back, refund_in

pytestmark = pytest.mark.django_db

ATTEMPTS, REFUNDS = "/admin/payments/attempt/", "/admin/payments/refund/"


@pytest.fixture
def now() -> datetime:
    """The present: the admin reads the clock itself."""
    return datetime.now(UTC)


@pytest.fixture
def support() -> Client:
    return logged_in("view_attempt", "change_attempt", "view_refund", "change_refund", "view_refundmove", "view_move")


@pytest.fixture
def paid(shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime) -> Attempt:
    """A payment of 28.70 EUR."""
    return attempt_in(AttemptStatus.SUCCEEDED, caller=shopper, order=order, gateway=gateway, now=now)


def form(amount: str = "28.70", *, once: UUID | None = None, reason: str = "A dent.") -> dict[str, str]:
    return {"amount": amount, "reason": reason, "once": str(once or new_id())}


def test_the_page_offers_everything_that_is_left(support: Client, paid: Attempt, now: datetime) -> None:
    given_back(paid.id, now, 870)

    page = support.post(f"{ATTEMPTS}{paid.pk}/refund/", {"next": f"{ATTEMPTS}{paid.pk}/change/"}).content.decode()

    assert 'name="amount" value="20.00"' in page
    assert "20.00 EUR can be given back." in page
    assert paid.reference in page
    assert Refund.objects.count() == 1


def test_a_filled_in_form_gives_back_logs_and_goes_back(support: Client, paid: Attempt, order: OrderView) -> None:
    back = f"/admin/orders/order/{order.order_id}/change/"

    answer = support.post(f"{ATTEMPTS}{paid.pk}/refund/", {**form("8.70"), "next": back})

    assert (answer.status_code, answer["Location"]) == (302, back)
    refund = Refund.objects.get()
    assert (refund.amount, refund.reason, refund.status, refund.cause) == (870, "A dent.", "succeeded", "requested")
    assert LogEntry.objects.get().change_message == "Refund of 8.70 EUR: succeeded."


def test_a_form_sent_twice_gives_back_once(support: Client, paid: Attempt) -> None:
    filled_in = form("8.70")

    for _ in range(2):
        support.post(f"{ATTEMPTS}{paid.pk}/refund/", filled_in)

    assert held_and_back(paid.id) == (870, 870)


@pytest.mark.parametrize("amount", ["0", "-1", "8.705", "abc", "", "NaN", "1e3000"])
def test_what_is_no_amount_is_asked_again(support: Client, paid: Attempt, amount: str) -> None:
    answer = support.post(f"{ATTEMPTS}{paid.pk}/refund/", form(amount))

    assert answer.status_code == 200
    assert not Refund.objects.exists()


@pytest.mark.parametrize("reason", ["", "to card 4242-4242-4242-4242", "sk_live_51H8abcdefghijkl"])
def test_a_refund_without_a_reason_or_with_a_secret_for_one_is_asked_again(
    reason: str, support: Client, paid: Attempt
) -> None:
    answer = support.post(f"{ATTEMPTS}{paid.pk}/refund/", form(reason=reason))

    assert answer.status_code == 200
    assert not Refund.objects.exists()


def test_more_than_is_left_is_refused_and_not_logged(support: Client, paid: Attempt) -> None:
    page = support.post(f"{ATTEMPTS}{paid.pk}/refund/", form("28.71"), follow=True).content.decode()

    assert "This is more than can be given back." in page
    assert not Refund.objects.exists()
    assert not LogEntry.objects.exists()


def test_a_silent_gateway_leaves_the_refund_to_the_clock(support: Client, paid: Attempt, gateway: FakeGateway) -> None:
    gateway.fall_silent("create_refund")

    support.post(f"{ATTEMPTS}{paid.pk}/refund/", form())

    assert LogEntry.objects.get().change_message == "Refund of 28.70 EUR: unknown."
    assert Refund.objects.get().next_try_at is not None


def test_giving_back_takes_the_permission_and_a_payment(support: Client, paid: Attempt) -> None:
    looking_only = Client()
    assert looking_only.post(f"{ATTEMPTS}{paid.pk}/refund/", form()).status_code == 302
    for attempt_id in ("x", new_id()):
        assert support.post(f"{ATTEMPTS}{attempt_id}/refund/", form()).status_code == 404
    assert not Refund.objects.exists()


def test_who_may_only_look_gives_nothing_back(paid: Attempt) -> None:
    assert logged_in("view_attempt").post(f"{ATTEMPTS}{paid.pk}/refund/", form()).status_code == 403
    assert not Refund.objects.exists()


def test_a_refund_shows_its_history_and_is_found(
    support: Client, paid: Attempt, gateway: FakeGateway, now: datetime, order: OrderView
) -> None:
    refund = refund_in(RefundStatus.SUCCEEDED, paid=paid, gateway=gateway, now=now)

    page = support.get(f"{REFUNDS}{refund.pk}/change/").content.decode()

    for text in ("7.00 EUR", "as asked", refund.gateway_refund_id, paid.reference, "the gateway says succeeded"):
        assert text in page
    assert f'action="{REFUNDS}{refund.pk}/ask/"' in page
    for term, found in ((refund.gateway_refund_id, 1), (str(refund.pk), 1), (paid.reference, 1), (" ", 1), ("re_x", 0)):
        assert len(support.get(REFUNDS, {"q": term}).context["cl"].result_list) == found
    assert orders_by_gateway_reference(text=refund.gateway_refund_id) == [order.order_id]
    assert orders_by_gateway_reference(text="") == []
    assert support.post(f"{REFUNDS}{refund.pk}/change/", {"status": "rejected"}).status_code == 403


def test_asking_the_gateway_sends_what_was_not_sent(support: Client, paid: Attempt, now: datetime) -> None:
    refund_id = asked(paid.id, now)

    support.post(f"{REFUNDS}{refund_id}/ask/")

    assert Refund.objects.get().status == "succeeded"
    assert LogEntry.objects.get().change_message == "The gateway was asked: moved, now succeeded."


@pytest.mark.parametrize("status", [RefundStatus.REJECTED, RefundStatus.REVERSED])
def test_what_came_to_nothing_is_given_back_once_more(
    status: RefundStatus, support: Client, paid: Attempt, gateway: FakeGateway, now: datetime
) -> None:
    undone = refund_in(status, paid=paid, gateway=gateway, now=now)

    for _ in range(2):
        support.post(f"{REFUNDS}{undone.pk}/again/")

    fresh = Refund.objects.exclude(pk=undone.pk).get()
    assert (fresh.amount, fresh.status, fresh.reason) == (700, "succeeded", "as asked")
    assert held_and_back(paid.id) == (700, 700)


def test_what_is_under_way_is_not_given_back_once_more(support: Client, paid: Attempt, now: datetime) -> None:
    refund_id = given_back(paid.id, now, 700)

    support.post(f"{REFUNDS}{refund_id}/again/")

    assert held_and_back(paid.id) == (700, 700)


def test_the_panels_of_an_order_show_refunds_and_offer_the_rest(
    paid: Attempt, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    refund = refund_in(RefundStatus.REJECTED, paid=paid, gateway=gateway, now=now)
    rejected, offered = refunds_panel(order_id=order.order_id), attempts_panel(order_id=order.order_id)
    given_back(paid.id, now)
    nothing_left = attempts_panel(order_id=order.order_id)

    [row] = rejected.rows
    assert row.cells[1] == Link("7.00 EUR", f"{REFUNDS}{refund.pk}/change/")
    assert row.cells[3] == "requested: as asked"
    assert [action.label for action in row.actions] == ["Give back once more"]
    assert len(row.cells) == len(rejected.columns)
    assert [action.label for action in offered.rows[0].actions] == ["Refund…"]
    assert nothing_left.rows[0].actions == ()
    assert nothing_left.rows[0].cells[5] == "28.70 EUR"
    assert refunds_panel(order_id=new_id()).rows == ()


def test_the_lists_can_be_cut_down_to_what_is_in_review(support: Client, paid: Attempt, now: datetime) -> None:
    for path, rows in ((ATTEMPTS, Attempt.objects.all()), (REFUNDS, Refund.objects.all())):
        given_back(paid.id, now, 100)
        assert list(support.get(path, {"review": "1"}).context["cl"].result_list) == []

        rows.update(review_reason="amount 1 instead of 2")

        assert set(support.get(path, {"review": "1"}).context["cl"].result_list) == set(rows.all())
        rows.update(review_reason="")


def test_a_refund_in_review_is_given_up(support: Client, paid: Attempt, gateway: FakeGateway, now: datetime) -> None:
    refund = refund_in(RefundStatus.UNKNOWN, paid=paid, gateway=gateway, now=now)
    Refund.objects.update(review_reason="unanswered", next_try_at=None)

    support.post(f"{REFUNDS}{refund.pk}/give_up/")

    assert Refund.objects.get().status == "rejected"
    assert LogEntry.objects.get().change_message == "Given up, now rejected."
