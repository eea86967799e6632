"""What the database itself derives and refuses."""

from datetime import datetime

import pytest
from django.db import IntegrityError, connection, transaction

from orders.models import Capture, Entry, Line, Order
from orders.states import PaymentStatus
from shop.kernel.auth.dto import Caller
from shop.kernel.ids import new_id
from tests.orders.factories import placed

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("captured", "refunded", "derived"),
    [
        (0, 0, PaymentStatus.UNPAID),
        (1, 0, PaymentStatus.PENDING),
        (2_869, 0, PaymentStatus.PENDING),
        (2_870, 0, PaymentStatus.PAID),
        (2_871, 0, PaymentStatus.OVERPAID),
        (5_740, 2_870, PaymentStatus.PAID),
        (5_740, 1, PaymentStatus.OVERPAID),
        (2_870, 1, PaymentStatus.PARTIALLY_REFUNDED),
        (2_870, 2_870, PaymentStatus.REFUNDED),
        (1_000, 1_000, PaymentStatus.REFUNDED),
    ],
)
def test_payment_status_follows_from_the_figures(
    captured: int, refunded: int, derived: str, shopper: Caller, now: datetime
) -> None:
    order = placed(caller=shopper, now=now)

    Order.objects.update(captured_minor=captured, refunded_minor=refunded)

    assert order.totals.total.amount == 2_870
    assert Order.objects.get().payment_status == derived


@pytest.mark.parametrize(
    ("changes", "constraint"),
    [
        ({"status": "lost"}, "orders_order_status_known"),
        ({"total_minor": 1}, "orders_order_totals_add_up"),
        ({"tax_minor": -1}, "orders_order_amounts_not_negative"),
        ({"refunded_minor": 1}, "orders_order_refunded_within_captured"),
        ({"status": "paid"}, "orders_order_paid_is_covered"),
        ({"status": "fulfilled", "captured_minor": 2_869}, "orders_order_paid_is_covered"),
    ],
)
def test_the_database_refuses_an_order_that_cannot_be(
    changes: dict[str, object], constraint: str, shopper: Caller, now: datetime
) -> None:
    placed(caller=shopper, now=now)

    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        Order.objects.update(**changes)

    assert Order.objects.get().status == "pending_payment"


def test_prices_without_tax_add_up_with_it(shopper: Caller, now: datetime) -> None:
    placed(caller=shopper, now=now)
    order = Order.objects.get()

    Order.objects.update(prices_include_tax=False, total_minor=order.total_minor + order.tax_minor)

    assert Order.objects.get().total_minor == 2_870 + order.tax_minor


@pytest.mark.parametrize("statement", ["UPDATE orders_entry SET detail = 'x'", "DELETE FROM orders_entry"])
def test_the_timeline_is_append_only(statement: str, shopper: Caller, now: datetime) -> None:
    placed(caller=shopper, now=now)

    with (
        pytest.raises(IntegrityError, match="append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)

    assert Entry.objects.get().detail == ""


def test_no_more_than_all_of_a_capture_is_due_back(shopper: Caller, now: datetime) -> None:
    order = placed(caller=shopper, now=now)

    with pytest.raises(IntegrityError, match="orders_capture_due_back_within_amount"), transaction.atomic():
        Capture.objects.create(
            payment_id=new_id(), order_id=order.order_id, amount_minor=5, due_back_minor=6, currency="EUR", at=now
        )

    assert not Capture.objects.exists()


def test_rows_name_themselves(shopper: Caller, now: datetime) -> None:
    order = placed(caller=shopper, now=now)
    payment_id = new_id()

    assert str(Order.objects.get()) == order.number
    assert str(Line.objects.get()) == "2 x MUG"
    assert str(Entry.objects.get()) == "2026-11-22 12:00:00 placed"
    assert str(Capture(payment_id=payment_id)) == f"payment {payment_id}"
