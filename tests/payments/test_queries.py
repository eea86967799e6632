"""Reads, against the plain ORM way."""

from datetime import datetime

import pytest

from orders.dto import OrderView
from payments import queries
from payments.models import Attempt
from payments.states import AttemptStatus
from shop.kernel.auth.dto import Caller
from shop.kernel.ids import new_id
from shop.kernel.transactions import TransactionMisuse, open_unit_of_work
from tests.orders.factories import placed
from tests.payments.factories import attempt_in, started
from tests.payments.fakes import FakeGateway

pytestmark = pytest.mark.django_db


def test_a_row_reads_what_the_orm_reads(pending: Attempt) -> None:
    row = queries.attempt_row(attempt_id=pending.id)

    assert row is not None
    assert row.order_id == pending.payable_id
    assert row.guest == pending.payable.guest
    of_the_attempt = set(queries.AttemptRow.__dataclass_fields__) - {"guest", "order_id"}
    for name in of_the_attempt:
        assert getattr(row, name) == getattr(pending, name), name


def test_every_way_leads_to_the_same_row(pending: Attempt) -> None:
    row = queries.attempt_row(attempt_id=pending.id)

    assert queries.attempt_of_session(gateway="fake", session_id=pending.session_id) == row
    assert queries.attempt_of_reference(gateway="fake", reference=pending.reference) == row
    assert queries.open_attempt(order_id=pending.payable_id) == row
    with open_unit_of_work():
        assert queries.lock_attempt(attempt_id=pending.id, order_id=pending.payable_id) == row


def test_what_is_not_there_is_none(pending: Attempt) -> None:
    assert queries.payment(payment_id=new_id()) is None
    assert queries.attempt_of_session(gateway="other", session_id=pending.session_id) is None
    assert queries.attempt_of_reference(gateway="fake", reference="other") is None
    assert queries.open_attempt(order_id=new_id()) is None


def test_locking_needs_a_unit_of_work(pending: Attempt) -> None:
    with pytest.raises(TransactionMisuse):
        queries.lock_attempt(attempt_id=pending.id, order_id=pending.payable_id)


def test_a_closed_attempt_is_not_the_open_one(
    shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    attempt_in(AttemptStatus.FAILED, caller=shopper, order=order, gateway=gateway, now=now)

    assert queries.open_attempt(order_id=order.order_id) is None


def test_an_order_is_found_by_session_reference_and_payment(pending: Attempt, shopper: Caller, now: datetime) -> None:
    started(shopper, placed(caller=shopper, now=now), now)

    for text in (pending.session_id, pending.reference, str(pending.id)):
        assert queries.orders_by_gateway_reference(text=text) == [pending.payable_id]
    assert queries.orders_by_gateway_reference(text="nothing") == []


def test_no_words_find_no_order_not_even_one_without_a_session(
    shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    attempt_in(AttemptStatus.UNKNOWN, caller=shopper, order=order, gateway=gateway, now=now)

    assert queries.orders_by_gateway_reference(text="") == []
