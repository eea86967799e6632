"""Money that goes back: the figure is the same whatever order its news comes in, and however often."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from itertools import permutations
from uuid import UUID

import pytest

from orders import services
from orders.dto import OrderView, RefundTold
from orders.errors import OrderNotFound
from orders.models import Order, Refund
from shop.kernel.auth.dto import Caller
from shop.kernel.ids import new_id
from shop.kernel.money import Money
from shop.kernel.transactions import open_unit_of_work
from tests.orders.factories import again, happened, hear, news, pay, placed

pytestmark = pytest.mark.django_db

TOTAL = 2_870
SUCCEEDED, REJECTED, REVERSED = RefundTold
Said = tuple[RefundTold, UUID, int]


@pytest.fixture
def payment_id() -> UUID:
    return new_id()


@pytest.fixture
def order(shopper: Caller, now: datetime, payment_id: UUID) -> OrderView:
    """A paid order of 28.70 EUR."""
    order = placed(caller=shopper, now=now)
    pay(order, now=now, payment_id=payment_id)
    return again(order)


def figures(order: OrderView) -> tuple[str, int]:
    after = again(order)
    return after.payment_status, after.refunded.amount


def test_a_part_then_the_rest(order: OrderView, payment_id: UUID, now: datetime) -> None:
    hear(order, news(SUCCEEDED, payment_id, amount=Money(1_000, "EUR")), now=now)
    part = figures(order)
    hear(order, news(SUCCEEDED, payment_id, amount=Money(1_870, "EUR")), now=now)

    assert (part, figures(order)) == (("partially_refunded", 1_000), ("refunded", TOTAL))
    assert happened(order) == ["placed", "paid", "refunded", "refunded"]
    assert [entry.detail for entry in again(order).timeline or ()][-2:] == [
        "10.00 EUR: requested",
        "18.70 EUR: requested",
    ]
    assert not again(order).needs_review


def test_what_came_back_no_longer_counts_and_asks_for_a_person(
    order: OrderView, payment_id: UUID, now: datetime
) -> None:
    refund_id = new_id()
    hear(order, news(SUCCEEDED, payment_id, refund_id), now=now)
    hear(order, news(REVERSED, payment_id, refund_id), now=now)

    assert figures(order) == ("paid", 0)
    assert happened(order)[-2:] == ["refunded", "refund_reversed"]
    assert again(order).needs_review


def test_a_rejected_refund_counts_nothing_and_asks_for_a_person(
    order: OrderView, payment_id: UUID, now: datetime
) -> None:
    hear(order, news(REJECTED, payment_id), now=now)

    assert figures(order) == ("paid", 0)
    assert happened(order)[-1] == "refund_rejected"
    assert again(order).needs_review
    assert not Refund.objects.exists()


@pytest.mark.parametrize("places", list(permutations(range(4))))
def test_any_order_of_the_news_comes_to_the_same(
    order: OrderView, payment_id: UUID, now: datetime, places: tuple[int, ...]
) -> None:
    # All went back, came back, and went back in two parts: told in any order, all but the two parts must be gone.
    first, part, rest = new_id(), new_id(), new_id()
    told: list[Said] = [
        (SUCCEEDED, first, TOTAL),
        (REVERSED, first, TOTAL),
        (SUCCEEDED, part, 1_000),
        (SUCCEEDED, rest, 1_870),
    ]

    for place in places:
        what, refund_id, minor = told[place]
        hear(order, news(what, payment_id, refund_id, amount=Money(minor, "EUR")), now=now)

    assert figures(order) == ("refunded", TOTAL)


def test_the_same_event_again_changes_nothing(order: OrderView, payment_id: UUID, now: datetime) -> None:
    refund_id, event_id = new_id(), new_id()
    hear(order, news(REVERSED, payment_id, refund_id, event_id=event_id), now=now)
    services.mark_reviewed(order_id=order.order_id, now=now)
    before = again(order)

    hear(order, news(REVERSED, payment_id, refund_id, event_id=event_id), now=now)

    assert again(order) == before
    assert not before.needs_review


def test_news_that_overtakes_its_payment_counts_once_that_is_counted(shopper: Caller, now: datetime) -> None:
    order, payment_id = placed(caller=shopper, now=now), new_id()
    hear(order, news(SUCCEEDED, payment_id, amount=Money(1_000, "EUR")), now=now)
    early = figures(order)

    pay(order, now=now, payment_id=payment_id)

    assert early == ("unpaid", 0)
    assert figures(order) == ("partially_refunded", 1_000)
    assert again(order).status == "paid"
    assert not Order.objects.get().refund_before_payment


def test_surplus_that_went_back_leaves_the_order_paid(order: OrderView, now: datetime) -> None:
    second = new_id()
    pay(order, now=now, payment_id=second)
    doubled = again(order).payment_status

    hear(order, news(SUCCEEDED, second), now=now)

    assert (doubled, figures(order)) == ("overpaid", ("paid", TOTAL))


def test_a_cancelled_order_whose_money_went_back_is_refunded(order: OrderView, payment_id: UUID, now: datetime) -> None:
    services.cancel(caller=Caller(id=new_id(), guest=False, staff=True), order_id=order.order_id, reason="", now=now)

    hear(order, news(SUCCEEDED, payment_id), now=now)

    assert (again(order).status, figures(order)) == ("cancelled", ("refunded", TOTAL))


def test_foreign_money_set_aside_is_told_and_not_counted(shopper: Caller, now: datetime) -> None:
    order, payment_id = placed(caller=shopper, now=now), new_id()
    pay(order, now=now, payment_id=payment_id, amount=Money(500, "JPY"))

    hear(order, news(SUCCEEDED, payment_id, amount=Money(500, "JPY")), now=now)

    assert figures(order) == ("unpaid", 0)
    assert happened(order)[-1] == "refunded"


def test_news_of_no_order_is_refused(payment_id: UUID, now: datetime) -> None:
    with pytest.raises(OrderNotFound), open_unit_of_work():
        services.note_refund(order_id=new_id(), news=news(SUCCEEDED, payment_id), now=now)

    assert not Refund.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_three_statements(
    order: OrderView,
    payment_id: UUID,
    now: datetime,
    statements: Callable[[], AbstractContextManager[list[str]]],
) -> None:
    with statements() as counted:
        hear(order, news(SUCCEEDED, payment_id), now=now)

    assert len(counted) == 3  # with the consumer's inbox row: four
