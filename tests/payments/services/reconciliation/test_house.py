"""Our own books against each other: money without an order, orders without money, money twice, and the ledger."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from django.db import connection

from orders import services as orders
from orders.dto import OrderView
from orders.models import Order
from orders.queries import closed_with_money, payables, taken_as_paid
from payments import services
from payments.errors import FindingNotFixable
from payments.models import Attempt, Finding, Posting
from payments.queries import books
from payments.services.ledger import post_missing_capture
from payments.services.reconciliation import Fix
from payments.states import AttemptStatus, Source
from shop.kernel.auth.dto import Caller
from shop.kernel.ids import new_id
from shop.kernel.money import Money
from shop.kernel.outbox.models import LoggedEvent
from shop.kernel.transactions import open_unit_of_work
from tests.orders.factories import placed
from tests.payments.factories import attempt_in
from tests.payments.fakes import FakeGateway

pytestmark = pytest.mark.django_db

Counting = Callable[[], AbstractContextManager[list[str]]]
HOUR = timedelta(hours=1)
TOTAL = Money(2_870, "EUR")


@pytest.fixture
def captured(shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime) -> Attempt:
    """An attempt whose money the order has not heard of."""
    return attempt_in(AttemptStatus.SUCCEEDED, caller=shopper, order=order, gateway=gateway, now=now)


@pytest.fixture
def paid(captured: Attempt, order: OrderView, now: datetime) -> Attempt:
    """An attempt whose money paid its order."""
    count(captured, order, now)
    return captured


def count(attempt: Attempt, order: OrderView, now: datetime) -> None:
    with open_unit_of_work():
        orders.mark_paid(order_id=order.order_id, payment_id=attempt.id, amount=TOTAL, now=now)


def second_payment(paid: Attempt, gateway: FakeGateway, now: datetime) -> Attempt:
    """Let another attempt of the same order bring its money too."""
    attempt = Attempt.objects.get(id=paid.id)
    attempt.pk, attempt.reference, attempt.session_id = new_id(), "the-second", "sess_second"
    attempt.status, attempt.captured = "expired", 0
    attempt.save(force_insert=True)
    first = gateway.sessions[paid.session_id]
    gateway.sessions["sess_second"] = replace(first, session_id="sess_second", reference="the-second")
    services.settle(attempt_id=attempt.pk, source=Source.POLL, now=now)
    return attempt


def look(at: datetime) -> tuple[int, int]:
    """Compare our own books; return how many findings were new and how many are gone."""
    done = services.reconcile_house(since=at - 26 * HOUR, now=at)
    return done.new, done.gone


def found() -> list[tuple[str, str, str]]:
    """Return kind, subject and detail of the open findings."""
    return list(Finding.objects.filter(state="open").order_by("kind", "id").values_list("kind", "subject", "detail"))


def fix(at: datetime) -> Fix:
    return services.fix_finding(finding_id=Finding.objects.get(state="open").id, source=Source.STAFF, now=at)


@pytest.mark.parametrize("given_back", [False, True])
def test_books_that_agree_hold_no_finding(
    given_back: bool, paid: Attempt, order: OrderView, now: datetime, later: datetime
) -> None:
    if given_back:
        services.request_refund(payment_id=paid.id, amount=None, reason="", now=now)

    assert look(later) == (0, 0)


@pytest.mark.parametrize("status", ["pending_payment", "expired", "cancelled"])
def test_money_whose_order_never_heard_of_it_is_found(
    status: str, captured: Attempt, order: OrderView, later: datetime
) -> None:
    Order.objects.update(status=status)

    assert look(later) == (1, 0)

    assert found() == [("paid_without_order", str(order.order_id), f"28.70 EUR kept, the order is {status}")]
    finding = Finding.objects.get()
    assert (finding.gateway, finding.attempt_id, finding.order_id) == ("fake", captured.id, order.order_id)


def test_money_of_an_order_there_is_not_is_found(captured: Attempt, later: datetime) -> None:
    nobody = new_id()
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")
        cursor.execute("UPDATE payments_payable SET order_id = %s", [nobody])
        cursor.execute("UPDATE payments_attempt SET order_id = %s", [nobody])

    look(later)

    assert ("paid_without_order", str(nobody), "28.70 EUR kept, the order is missing") in found()


def test_the_order_is_told_of_its_money(captured: Attempt, order: OrderView, later: datetime) -> None:
    look(later)

    assert fix(later) == Fix("the order was told of its money: paid", fixed=True)

    assert Order.objects.get().status == "paid"
    assert LoggedEvent.objects.filter(topic="order.paid").count() == 1
    assert look(later + HOUR) == (0, 0)


def test_money_an_order_cannot_keep_is_due_back_once_it_is_told(
    captured: Attempt, order: OrderView, staff: Caller, later: datetime
) -> None:
    orders.cancel(caller=staff, order_id=order.order_id, reason="requested_by_shopper", now=later)
    look(later)

    # The refund follows the event; until then the money is kept.
    assert fix(later) == Fix("the order was told of its money: refund_due", fixed=False)
    assert LoggedEvent.objects.filter(topic="order.refund_due").count() == 1
    services.request_refund(payment_id=captured.id, amount=None, reason="late", now=later)

    assert look(later + HOUR) == (0, 1)


@pytest.mark.parametrize("late", [HOUR, 5 * 24 * HOUR])
def test_money_kept_for_an_order_called_off_after_it_was_paid_is_found(
    late: timedelta, paid: Attempt, order: OrderView, staff: Caller, now: datetime
) -> None:
    called_off_at = now + late
    orders.cancel(caller=staff, order_id=order.order_id, reason="", now=called_off_at)

    assert look(called_off_at + HOUR) == (1, 0)

    assert found() == [("paid_without_order", str(order.order_id), "28.70 EUR kept, the order is cancelled")]


def test_money_just_taken_is_no_finding(captured: Attempt, now: datetime) -> None:
    assert look(now + timedelta(seconds=299)) == (0, 0)
    assert look(now + timedelta(seconds=301)) == (1, 0)


def test_money_held_for_its_refund_is_no_finding(captured: Attempt, now: datetime, later: datetime) -> None:
    Order.objects.update(status="expired")
    services.request_refund(payment_id=captured.id, amount=None, reason="late", now=now)

    assert look(later) == (0, 0)


def test_an_order_charged_twice_is_found_and_told(
    paid: Attempt, order: OrderView, gateway: FakeGateway, now: datetime, later: datetime
) -> None:
    second = second_payment(paid, gateway, now)

    assert look(later) == (1, 0)
    assert found() == [("double_charge", str(order.order_id), "2 payments kept, 57.40 EUR in all")]
    assert fix(later).done == "the order was told of its money: already_counted, refund_due"

    # What the order told makes the refund; with that under way it is no double charge.
    services.request_refund(payment_id=second.pk, amount=None, reason="double", now=later)
    assert look(later + HOUR) == (0, 1)


def test_an_order_that_counts_as_paid_without_money_is_found(
    paid: Attempt, order: OrderView, shopper: Caller, now: datetime, later: datetime
) -> None:
    unpaid = placed(caller=shopper, now=now)
    Order.objects.filter(id=unpaid.order_id).update(status="paid", captured_minor=2_870)

    assert look(later) == (1, 0)

    assert found() == [
        ("order_without_money", str(unpaid.order_id), "paid, costs 28.70 EUR, captured 0.00 EUR"),
    ]
    with pytest.raises(FindingNotFixable):
        fix(later)
    Order.objects.filter(id=unpaid.order_id).update(status="pending_payment", captured_minor=0)
    assert look(later + HOUR) == (0, 1)


def test_what_is_older_than_the_window_is_looked_at_again(captured: Attempt, order: OrderView, later: datetime) -> None:
    look(later)
    days_later = later + timedelta(days=9)

    assert look(days_later) == (0, 0)
    assert Finding.objects.get().seen_at == days_later

    count(captured, order, later)
    assert look(days_later + HOUR) == (0, 1)


def test_a_ledger_that_differs_is_found_and_what_is_missing_is_written(paid: Attempt, later: datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("DELETE FROM payments_posting")
        cursor.execute("SET LOCAL session_replication_role = origin")

    assert look(later) == (2, 0)
    assert [subject for _, subject, _ in found()] == [f"attempts: {paid.reference}", "totals: fake EUR"]
    finding = Finding.objects.get(subject__startswith="attempts")
    assert services.fix_finding(finding_id=finding.id, source=Source.STAFF, now=later).fixed

    assert (Posting.objects.get().amount, Posting.objects.get().at) == (2_870, paid.moved_at)
    assert look(later + HOUR) == (0, 1)
    assert services.audit_ledger().clean


def test_what_no_posting_mends_is_not_fixed(paid: Attempt, later: datetime) -> None:
    Attempt.objects.update(refund_held=5)
    look(later)

    with pytest.raises(FindingNotFixable):
        fix(later)


def test_a_posting_there_is_is_not_written_twice(paid: Attempt, now: datetime) -> None:
    assert post_missing_capture(attempt_id=paid.id) is False
    assert Posting.objects.count() == 1


def test_pages_are_walked_to_their_end(
    shopper: Caller, gateway: FakeGateway, now: datetime, later: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(books, "PAGE", 2)
    for _ in range(5):
        gateway.forget()
        attempt_in(
            AttemptStatus.SUCCEEDED, caller=shopper, order=placed(caller=shopper, now=now), gateway=gateway, now=now
        )

    assert look(later) == (5, 0)
    assert services.reconcile_gateway(gateway="fake", since=now, now=later).new == 4
    assert taken_as_paid(since=now, limit=2) == []


def test_orders_taken_as_paid_come_page_by_page(shopper: Caller, stranger: Caller, now: datetime) -> None:
    first, second, third = (placed(caller=caller, now=now) for caller in (shopper, stranger, shopper))
    Order.objects.filter(id__in=[first.order_id, third.order_id]).update(status="paid", captured_minor=2_870)

    page = taken_as_paid(since=now, limit=1)
    rest = taken_as_paid(since=now, limit=2, after=page[0].order_id)

    assert [one.order_id for one in (*page, *rest)] == [first.order_id, third.order_id]
    assert taken_as_paid(since=now + timedelta(seconds=1), limit=2) == []
    assert payables(order_ids=[second.order_id, new_id()])[second.order_id].total == TOTAL


def test_orders_that_ended_with_money_come_page_by_page(shopper: Caller, now: datetime) -> None:
    orders_ = [placed(caller=shopper, now=now) for _ in range(4)]
    for order, status in zip(orders_, ("cancelled", "paid", "expired", "cancelled"), strict=True):
        captured = 0 if order is orders_[3] else 2_870
        Order.objects.filter(id=order.order_id).update(status=status, captured_minor=captured, updated_at=now + HOUR)
    at, second = now + HOUR, timedelta(seconds=1)

    page = closed_with_money(since=at, until=at, limit=1)
    rest = closed_with_money(since=at, until=at, limit=2, after=page[0])

    assert [*page, *rest] == [orders_[0].order_id, orders_[2].order_id]
    assert closed_with_money(since=now, until=at - second, limit=2) == []
    assert closed_with_money(since=at + second, until=at + HOUR, limit=2) == []


def test_thirty_orders_take_as_many_statements_as_three(
    shopper: Caller, gateway: FakeGateway, now: datetime, later: datetime, statements: Counting
) -> None:
    counts = []
    for many in (3, 27):
        for _ in range(many):
            order = placed(caller=shopper, now=now)
            gateway.forget()
            attempt_in(AttemptStatus.SUCCEEDED, caller=shopper, order=order, gateway=gateway, now=now)
        with statements() as counted:
            look(later)
        counts.append(len(counted))

    assert counts[0] == counts[1]
    assert Finding.objects.count() == 30
