"""What is left of money an order cannot keep, after the gateway's staff gave back some of it unheard."""

from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from django.contrib.admin.models import LogEntry

from orders import services as orders
from orders.dto import OrderView
from orders.models import Capture
from payments import services, tasks
from payments.dto import RefundState
from payments.models import Attempt, Finding, Refund
from payments.ports import GatewayUnavailable
from payments.services.refunds import give_back_due
from payments.states import RefundCause, RefundStatus, Source
from shop.kernel.auth.dto import Caller
from shop.kernel.money import Money
from tests.clients import logged_in
from tests.orders.factories import again
from tests.payments.fakes import FakeGateway, Killed
from tests.payments.ledger import assert_adds_up
from tests.payments.refunds import everybody_hears_everything, given_back, held_and_back, refund_in
from tests.races import tried_at_once

pytestmark = pytest.mark.django_db

TOTAL = 1_000
HOUR = timedelta(hours=1)


@pytest.fixture
def now() -> datetime:
    """The present: handlers and tasks read the clock themselves, as edges do."""
    return datetime.now(UTC)


@pytest.fixture
def refused(paid: Attempt, ten_euros: OrderView, gateway: FakeGateway, staff: Caller, now: datetime) -> Refund:
    """The refund of a cancelled order, refused: 4.00 EUR went back in the dashboard, and the callback was lost."""
    everybody_hears_everything(now)
    gateway.refund_in_dashboard(400)
    orders.cancel(caller=staff, order_id=ten_euros.order_id, reason="", now=now)
    everybody_hears_everything(now)
    tasks.settle_refunds()
    return Refund.objects.get()


def rows() -> list[tuple[int, str, str]]:
    return sorted(Refund.objects.values_list("amount", "status", "cause"))


def settle_everything(now: datetime) -> None:
    for _ in range(4):
        tasks.settle_refunds()
    everybody_hears_everything(now)


def test_the_rest_of_a_cancelled_orders_money_goes_back_once(
    refused: Refund, paid: Attempt, ten_euros: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    assert (refused.status, refused.failure_code) == ("rejected", "refund_exceeds_captured")

    settle_everything(now)

    assert rows() == [(400, "succeeded", "external"), (600, "succeeded", "cancelled"), (TOTAL, "rejected", "cancelled")]
    assert held_and_back(paid.id) == (TOTAL, TOTAL)
    assert sorted(one.amount.amount for one in gateway.refunds.values()) == [400, 600]
    assert (again(ten_euros).status, again(ten_euros).payment_status) == ("cancelled", "refunded")
    refused.refresh_from_db()
    assert refused.next_try_at is None
    assert_adds_up()


def test_where_all_went_back_in_the_dashboard_nothing_is_asked_for(
    paid: Attempt, ten_euros: OrderView, gateway: FakeGateway, staff: Caller, now: datetime
) -> None:
    everybody_hears_everything(now)
    gateway.refund_in_dashboard(TOTAL)
    orders.cancel(caller=staff, order_id=ten_euros.order_id, reason="", now=now)
    everybody_hears_everything(now)

    settle_everything(now)

    assert rows() == [(TOTAL, "rejected", "cancelled"), (TOTAL, "succeeded", "external")]
    assert not Refund.objects.filter(status="rejected", next_try_at__isnull=False).exists()
    assert again(ten_euros).payment_status == "refunded"


@pytest.mark.parametrize("after_doing", [False, True])
def test_a_kill_before_the_rest_is_asked_for_leaves_it_to_the_clock(
    after_doing: bool, refused: Refund, paid: Attempt, gateway: FakeGateway, now: datetime
) -> None:
    gateway.kill("list_refunds", after_doing=after_doing)
    with pytest.raises(Killed):
        services.poll_refund(refund_id=refused.id, now=datetime.now(UTC))
    assert len(rows()) == 1

    at = datetime.now(UTC) + HOUR
    services.poll_refund(refund_id=refused.id, now=at)
    services.poll_refund(refund_id=refused.id, now=at + HOUR)

    assert rows() == [(400, "succeeded", "external"), (600, "requested", "cancelled"), (TOTAL, "rejected", "cancelled")]
    assert held_and_back(paid.id) == (TOTAL, 400)


def test_a_silent_gateway_puts_the_rest_off(refused: Refund, gateway: FakeGateway) -> None:
    gateway.fall_silent("list_refunds")

    with pytest.raises(GatewayUnavailable):
        services.poll_refund(refund_id=refused.id, now=datetime.now(UTC))

    refused.refresh_from_db()
    assert refused.next_try_at is not None
    assert refused.next_try_at > datetime.now(UTC)


def test_more_that_goes_back_in_between_leaves_ever_less_to_ask_for(
    refused: Refund, paid: Attempt, gateway: FakeGateway, now: datetime
) -> None:
    tasks.settle_refunds()
    gateway.refund_in_dashboard(250)

    settle_everything(now)

    assert [amount for amount, status, _ in rows() if status == "rejected"] == [600, TOTAL]
    assert [(amount, cause) for amount, status, cause in rows() if status == "succeeded"] == [
        (250, "external"),
        (350, "cancelled"),
        (400, "external"),
    ]
    assert held_and_back(paid.id) == (TOTAL, TOTAL)


def test_a_refusal_the_gateways_list_never_explains_is_looked_into_so_often_and_no_more(
    paid: Attempt, ten_euros: OrderView, gateway: FakeGateway, staff: Caller, now: datetime
) -> None:
    everybody_hears_everything(now)
    gateway.refund_refusal = "account_closed"
    orders.cancel(caller=staff, order_id=ten_euros.order_id, reason="", now=now)
    everybody_hears_everything(now)
    tasks.settle_refunds()
    refused = Refund.objects.get()
    looks = 0
    while refused.next_try_at is not None:
        assert looks < 10
        services.poll_refund(refund_id=refused.id, now=refused.next_try_at)
        refused.refresh_from_db()
        looks += 1

    assert looks == 6
    assert rows() == [(TOTAL, "rejected", "cancelled")]
    assert gateway.calls.count("create_refund") == 1


def test_what_the_bank_rejected_and_what_staff_asked_for_is_not_asked_for_again(
    paid: Attempt, gateway: FakeGateway, now: datetime
) -> None:
    refund_in(RefundStatus.REJECTED, paid=paid, gateway=gateway, now=now)
    gateway.refund_in_dashboard(400)
    given_back(paid.id, now, 700)

    settle_everything(now)

    assert rows() == [(700, "rejected", "requested")] * 2
    assert not Refund.objects.exclude(next_try_at=None).exists()


# --- the finding ---


def fix_money(order: OrderView, at: datetime) -> str:
    services.reconcile_house(since=at - 26 * HOUR, now=at)
    finding = Finding.objects.get(state="open", kind="paid_without_order", subject=str(order.order_id))
    return services.fix_finding(finding_id=finding.id, source=Source.RECONCILIATION, now=at).done


def test_the_finding_of_a_cancelled_orders_money_gives_the_rest_back_once(
    refused: Refund, paid: Attempt, ten_euros: OrderView, now: datetime
) -> None:
    # As if nobody had looked into it ever since.
    Refund.objects.update(next_try_at=None)
    later = now + 3 * HOUR

    assert fix_money(ten_euros, later) == "the order was told of its money: already_counted; 6.00 EUR asked back"

    assert Finding.objects.get(kind="paid_without_order").state == "fixed"
    assert held_and_back(paid.id) == (TOTAL, 400)
    Refund.objects.filter(status="requested").update(next_try_at=now)
    settle_everything(now)
    assert rows() == [(400, "succeeded", "external"), (600, "succeeded", "cancelled"), (TOTAL, "rejected", "cancelled")]
    assert_adds_up()


def test_what_was_refused_before_is_left_to_a_person(
    paid: Attempt, ten_euros: OrderView, gateway: FakeGateway, staff: Caller, now: datetime
) -> None:
    everybody_hears_everything(now)
    gateway.refunds_begin = RefundState.REJECTED
    orders.cancel(caller=staff, order_id=ten_euros.order_id, reason="", now=now)
    everybody_hears_everything(now)
    settle_everything(now)

    assert fix_money(ten_euros, now + 3 * HOUR) == "the order was told of its money: already_counted"

    assert rows() == [(TOTAL, "rejected", "cancelled")]


def test_money_kept_for_a_person_to_decide_is_not_given_back(
    refused: Refund, paid: Attempt, ten_euros: OrderView, now: datetime
) -> None:
    Refund.objects.all().update(next_try_at=None)
    Capture.objects.update(due_back_minor=0)

    assert fix_money(ten_euros, now + 3 * HOUR) == "the order was told of its money: already_counted"

    assert rows() == [(TOTAL, "rejected", "cancelled")]


# --- the button ---


def test_giving_back_once_more_gives_what_is_left_and_says_so(refused: Refund, paid: Attempt) -> None:
    support = logged_in("view_refund", "change_refund")

    for _ in range(2):
        support.post(f"/admin/payments/refund/{refused.pk}/again/")

    assert rows() == [(400, "succeeded", "external"), (600, "succeeded", "requested"), (TOTAL, "rejected", "cancelled")]
    said = set(LogEntry.objects.values_list("change_message", flat=True))
    assert said == {"Refund of 6.00 EUR: succeeded. Of 10.00 EUR only this was left."}


def test_giving_back_once_more_is_refused_where_nothing_is_left(refused: Refund, gateway: FakeGateway) -> None:
    gateway.refund_in_dashboard(600)

    page = logged_in("view_refund", "change_refund").post(f"/admin/payments/refund/{refused.pk}/again/", follow=True)

    assert "Nothing is left to give back: all of it is back or on its way." in page.content.decode()
    assert not LogEntry.objects.exists()
    assert rows() == [(400, "succeeded", "external"), (600, "succeeded", "external"), (TOTAL, "rejected", "cancelled")]


def test_nothing_is_given_back_once_more_until_the_gateway_says_what_went_back(
    refused: Refund, gateway: FakeGateway
) -> None:
    gateway.fall_silent("list_refunds")
    support = logged_in("view_refund", "change_refund")

    page = support.post(f"/admin/payments/refund/{refused.pk}/again/", follow=True).content.decode()
    told = Refund.objects.count()
    gateway.fall_silent("create_refund", times=9)
    support.post(f"/admin/payments/refund/{refused.pk}/again/")

    assert "The gateway gave no answer" in page
    assert told == 1
    assert LogEntry.objects.get().change_message == "Refund of 6.00 EUR: unknown. Of 10.00 EUR only this was left."


# --- races ---


@pytest.mark.django_db(transaction=True)
def test_clock_finding_and_another_clock_at_once_ask_for_the_rest_once(
    refused: Refund, paid: Attempt, now: datetime
) -> None:
    due, at = Money(TOTAL, "EUR"), datetime.now(UTC)
    give_back = partial(
        give_back_due,
        payment_id=paid.id,
        due=due,
        cause=RefundCause.CANCELLED,
        source=Source.STAFF,
        now=at,
    )

    results = tried_at_once(
        give_back,
        partial(services.poll_refund, refund_id=refused.id, now=at),
        partial(services.poll_refund, refund_id=refused.id, now=at + HOUR),
        give_back,
    )

    assert [result for result in results if isinstance(result, Exception)] == []
    assert [(amount, cause) for amount, _, cause in rows()] == [
        (400, "external"),
        (600, "cancelled"),
        (TOTAL, "cancelled"),
    ]
    assert held_and_back(paid.id)[0] == TOTAL
