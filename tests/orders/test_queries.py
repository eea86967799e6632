"""Reads: whose orders, in which order, by how many statements, and by which index."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.db.models import QuerySet
from django.db.models.functions import Lower
from pytest_django import Settings

from orders import queries
from orders.dto import MailLine
from orders.errors import OrderNotFound
from orders.models import Order
from orders.states import Status
from shop.kernel.auth.dto import Caller
from shop.kernel.ids import new_id
from shop.kernel.money import Money
from tests.orders.factories import ADDRESS, order_in, pay, placed

pytestmark = pytest.mark.django_db

Counting = Callable[[], AbstractContextManager[list[str]]]


def test_an_order_is_its_shoppers_alone(shopper: Caller, stranger: Caller, now: datetime) -> None:
    order = placed(caller=shopper, now=now)

    assert queries.order(order_id=order.order_id, user_id=shopper.id) == order
    assert queries.order(order_id=order.order_id, user_id=None) == order
    with pytest.raises(OrderNotFound):
        queries.order(order_id=order.order_id, user_id=stranger.id)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("revive", "Money that still comes revives the order if its stock can be had again, else it goes back."),
        ("refund", "Money that still comes goes back."),
        ("review", "Money that still comes is kept until a person has decided."),
    ],
)
def test_the_story_of_an_expired_order_says_what_becomes_of_late_money(
    rule: str, said: str, shopper: Caller, now: datetime, settings: Settings
) -> None:
    order = order_in(Status.EXPIRED, caller=shopper, now=now)
    settings.ORDER_LATE_MONEY = rule

    assert queries.story(order_id=order.order_id, now=now).next == (said,)


def test_the_list_is_paged_newest_first_both_ways(shopper: Caller, stranger: Caller, now: datetime) -> None:
    placed(caller=stranger, now=now)
    one, two, three = (placed(caller=shopper, now=now).order_id for _ in range(3))

    def ids(**page: object) -> list[object]:
        return [order.order_id for order in queries.orders_of(user_id=shopper.id, **page)]  # type: ignore[arg-type]  # whichever page is asked for

    assert ids(limit=9) == [three, two, one]
    assert ids(limit=2) == [three, two]
    assert ids(limit=2, after=two) == [one]
    assert ids(limit=1, before=one) == [two]
    assert ids(limit=9, before=one) == [two, three]


@pytest.mark.parametrize(("orders", "lines"), [(1, 1), (3, 1), (3, 30)])
def test_every_read_is_one_statement(
    orders: int, lines: int, shopper: Caller, now: datetime, statements: Counting
) -> None:
    skus = tuple(f"SKU-{place:02}" for place in range(lines))
    for _ in range(orders):
        order = placed(caller=shopper, now=now, skus=skus)

    with statements() as counted:
        assert len(queries.orders_of(user_id=shopper.id, limit=9)) == orders
        queries.order(order_id=order.order_id, user_id=shopper.id)
        queries.payable(order_id=order.order_id)
        queries.mail_order(order_id=order.order_id)

    assert len(counted) == 4


def test_lists_have_no_timeline(shopper: Caller, now: datetime) -> None:
    placed(caller=shopper, now=now)

    assert queries.orders_of(user_id=shopper.id, limit=1)[0].timeline is None


def test_payments_are_told_what_to_ask_for(shopper: Caller, now: datetime) -> None:
    order = placed(caller=shopper, now=now)

    payable = queries.payable(order_id=order.order_id)

    assert payable is not None
    assert (payable.number, payable.user_id, payable.status) == (order.number, shopper.id, "pending_payment")
    assert (payable.total, payable.payment_deadline) == (Money(2_870, "EUR"), now + timedelta(minutes=30))
    assert queries.payable(order_id=new_id()) is None


def test_mails_are_told_what_to_say(shopper: Caller, now: datetime) -> None:
    order = placed(caller=shopper, now=now)

    mail = queries.mail_order(order_id=order.order_id)

    assert mail is not None
    assert (mail.email, mail.language, mail.shipping_address) == ("Ada@Example.com", "de", ADDRESS)
    assert mail.lines == (MailLine("The MUG", 2, Money(1_190, "EUR"), Money(2_380, "EUR")),)
    assert (mail.subtotal, mail.shipping, mail.total) == (Money(2_380, "EUR"), Money(490, "EUR"), Money(2_870, "EUR"))
    assert queries.mail_order(order_id=new_id()) is None


def test_overdue_orders_are_those_that_wait_past_their_deadline_longest_first(shopper: Caller, now: datetime) -> None:
    younger = placed(caller=shopper, now=now + timedelta(minutes=1))
    older = placed(caller=shopper, now=now)
    pay(placed(caller=shopper, now=now), now=now)
    order_in(Status.CANCELLED, caller=shopper, now=now)
    late = now + timedelta(minutes=32)

    assert queries.overdue(now=late, limit=9) == [older.order_id, younger.order_id]
    assert queries.overdue(now=late, limit=1) == [older.order_id]
    assert queries.overdue(now=late, limit=1, after=older.order_id) == [younger.order_id]
    assert queries.overdue(now=late, limit=1, after=younger.order_id) == []
    assert queries.overdue(now=now + timedelta(minutes=30), limit=9) == []


_MANY = """
INSERT INTO orders_order (
    id, number, checkout_id, user_id, guest, status, needs_review, currency, subtotal_minor, discount_minor,
    shipping_minor, tax_minor, total_minor, prices_include_tax, captured_minor, email, language, shipping_address,
    billing_address, shipping_method, payment_deadline, created_at, updated_at)
SELECT gen_random_uuid(), 'N' || place, gen_random_uuid(), gen_random_uuid(), false,
       CASE WHEN place % 500 = 0 THEN 'pending_payment' ELSE 'paid' END, place % 1000 = 0, 'EUR', 1, 0, 0, 0, 1, true,
       1, 'shopper' || place || '@example.com', 'en', '{}', '{}', 'standard', now(), now(), now()
FROM generate_series(1, 10000) AS place
"""


@pytest.fixture
def _many_orders() -> None:
    with connection.cursor() as cursor:
        cursor.execute(_MANY)
        cursor.execute("ANALYZE orders_order")


@pytest.mark.usefixtures("_many_orders")
@pytest.mark.parametrize(
    ("index", "rows"),
    [
        (
            "orders_order_overdue",
            Order.objects.filter(status="pending_payment", payment_deadline__lt=datetime(2030, 1, 1, tzinfo=UTC))
            .order_by("payment_deadline")
            .values_list("pk"),
        ),
        ("orders_order_by_user", Order.objects.filter(user_id=new_id())),
        ("orders_order_by_email", Order.objects.annotate(low=Lower("email")).filter(low="shopper7@example.com")),
        ("orders_order_in_review", Order.objects.filter(needs_review=True)),
        ("orders_order_number_unique", Order.objects.filter(number="N7")),
    ],
)
def test_no_read_grows_with_the_number_of_orders(index: str, rows: QuerySet[Order]) -> None:
    plan = rows[:20].explain()

    assert index in plan
    assert "Seq Scan" not in plan
