"""Goods and money do not both leave: what is on its way back already counts as gone."""

from datetime import datetime
from uuid import UUID

import pytest

from orders import services as orders
from orders.dto import OrderView
from orders.errors import OrderRefunded
from payments import services
from payments.dto import RefundState
from payments.models import Attempt
from payments.states import RefundStatus, Source
from shop.kernel.auth.dto import Caller
from shop.kernel.money import Money
from shop.kernel.transactions import open_unit_of_work
from tests.payments.factories import started
from tests.payments.fakes import FakeGateway
from tests.payments.refunds import asked, everybody_hears_everything, refund_in, settle

pytestmark = pytest.mark.django_db

ALL, PART = 1_000, 999


@pytest.fixture
def twice_paid(shopper: Caller, ten_euros: OrderView, gateway: FakeGateway, now: datetime) -> tuple[UUID, UUID]:
    """The payment the order keeps, and one that brought money after it was called off; nobody has heard of that yet."""
    other = started(shopper, ten_euros, now).payment.payment_id
    services.cancel_attempt(caller=shopper, payment_id=other, now=now)
    kept = started(shopper, ten_euros, now).payment.payment_id
    for session_id in gateway.sessions:
        gateway.pay(session_id)
    services.settle(attempt_id=kept, source=Source.POLL, now=now)
    everybody_hears_everything(now)
    services.settle(attempt_id=other, source=Source.POLL, now=now)
    return kept, other


@pytest.mark.parametrize("status", [RefundStatus.REQUESTED, RefundStatus.SUBMITTED, RefundStatus.UNKNOWN])
def test_goods_whose_money_is_all_on_its_way_back_are_not_sent(
    status: RefundStatus, paid: Attempt, ten_euros: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    everybody_hears_everything(now)
    refund_in(status, paid=paid, gateway=gateway, now=now, amount=ALL)

    with pytest.raises(OrderRefunded):
        orders.fulfil(order_id=ten_euros.order_id, tracking="", now=now)


def test_goods_whose_money_was_refused_on_its_way_back_are_sent(
    paid: Attempt, ten_euros: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    everybody_hears_everything(now)
    refund = refund_in(RefundStatus.SUBMITTED, paid=paid, gateway=gateway, now=now, amount=ALL)
    gateway.refund_becomes(gateway.only_refund(), RefundState.REJECTED, "account_closed")

    assert settle(refund.id, now) == "rejected"
    assert orders.fulfil(order_id=ten_euros.order_id, tracking="", now=now).status == "fulfilled"


def test_goods_are_sent_while_a_part_of_their_money_is_on_its_way_back(
    paid: Attempt, ten_euros: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    everybody_hears_everything(now)
    refund_in(RefundStatus.SUBMITTED, paid=paid, gateway=gateway, now=now, amount=PART)

    assert orders.fulfil(order_id=ten_euros.order_id, tracking="", now=now).status == "fulfilled"


def test_goods_are_not_sent_when_one_payment_is_on_its_way_back_and_the_other_is_only_declared_due(
    twice_paid: tuple[UUID, UUID], ten_euros: OrderView, now: datetime
) -> None:
    kept, other = twice_paid
    with open_unit_of_work():
        orders.mark_paid(order_id=ten_euros.order_id, payment_id=other, amount=Money(ALL, "EUR"), now=now)
    asked(kept, now)

    with pytest.raises(OrderRefunded):
        orders.fulfil(order_id=ten_euros.order_id, tracking="", now=now)


def test_goods_are_sent_while_a_payment_their_order_has_not_heard_of_is_on_its_way_back(
    twice_paid: tuple[UUID, UUID], ten_euros: OrderView, now: datetime
) -> None:
    _, other = twice_paid
    asked(other, now)

    assert orders.fulfil(order_id=ten_euros.order_id, tracking="", now=now).status == "fulfilled"
