"""Callbacks about refunds: stored with what they concern, and applied by asking for the payment's refunds."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from orders.dto import OrderView
from payments import services
from payments.dto import Processing, RefundState
from payments.models import Attempt, Callback, Refund
from payments.queries import attempt_of_session
from payments.states import Source
from shop.kernel.auth.dto import Caller
from shop.kernel.money import Money
from tests.conftest import Statements
from tests.payments.factories import SIGNED, callback_body, started, status_of, told
from tests.payments.fakes import FakeGateway
from tests.payments.refunds import asked, given_back, held_and_back

pytestmark = pytest.mark.django_db

Counting = Callable[[], AbstractContextManager[Statements]]


def received(session_id: str, now: datetime, *, event_id: str = "evt_re", kind: str = "refund.updated") -> UUID:
    """Store a callback about a refund and return its id."""
    body = callback_body(session_id, event_id=event_id, kind=kind)
    services.receive_callback(gateway="fake", body=body, headers=SIGNED, now=now)
    return Callback.objects.get(event_id=event_id).id


def process(callback_id: UUID, now: datetime) -> Processing:
    return services.process_callback(callback_id=callback_id, now=now)


def test_a_refund_of_the_dashboard_comes_in_by_callback_however_often_it_is_told(
    paid: Attempt, ten_euros: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    gateway.refund_in_dashboard(300)

    results = [process(received(paid.session_id, now, event_id=f"evt_{number}"), now) for number in range(3)]

    assert results == [Processing.APPLIED] * 3
    assert Callback.objects.filter(concerns_refunds=True, state="applied").count() == 3
    assert Refund.objects.get().cause == "external"
    assert told(ten_euros) == ["payment.success", "refund.succeeded"]


def test_a_bank_that_decides_is_heard_at_once(
    paid: Attempt, ten_euros: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    gateway.refunds_begin = RefundState.PENDING
    given_back(paid.id, now, 700)
    gateway.refund_becomes(gateway.only_refund(), RefundState.REJECTED, "account_closed")

    result = process(received(paid.session_id, now), now)

    assert result is Processing.APPLIED
    assert Refund.objects.get().status == "rejected"
    assert held_and_back(paid.id) == (0, 0)
    assert told(ten_euros) == ["payment.success", "refund.rejected"]


def test_a_message_about_the_payment_asks_for_no_refunds(paid: Attempt, gateway: FakeGateway, now: datetime) -> None:
    gateway.refund_in_dashboard(300)
    gateway.calls.clear()

    result = process(received(paid.session_id, now, kind="session.paid"), now)

    assert result is Processing.APPLIED
    assert not Callback.objects.get().concerns_refunds
    assert gateway.calls == []
    assert not Refund.objects.exists()


def test_a_refund_told_before_the_payment_settles_both(
    shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    payment = started(shopper, order, now).payment
    gateway.pay(gateway.only_session())
    gateway.refund_in_dashboard(500)

    result = process(received(gateway.only_session(), now), now)

    assert result is Processing.APPLIED
    assert status_of(payment.payment_id) == "succeeded"
    assert held_and_back(payment.payment_id) == (500, 500)
    assert told(order) == ["payment.success", "refund.succeeded"]


def test_a_message_that_knows_only_the_gateways_name_for_the_money_finds_its_payment(
    shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    payment = started(shopper, order, now).payment
    session_id = gateway.only_session()
    gateway.pay(session_id)
    gateway.sessions[session_id] = replace(gateway.sessions[session_id], payment_id="pi_1")
    services.settle(attempt_id=payment.payment_id, source=Source.POLL, now=now)
    gateway.refund_in_dashboard(500)

    found = attempt_of_session(gateway="fake", session_id="pi_1")
    result = process(received("pi_1", now), now)

    assert found is not None
    assert found.id == payment.payment_id
    assert result is Processing.APPLIED
    assert held_and_back(payment.payment_id) == (500, 500)
    assert attempt_of_session(gateway="another", session_id="pi_1") is None
    assert attempt_of_session(gateway="fake", session_id="") is None


def test_what_does_not_fit_yet_is_tried_again_later(paid: Attempt, gateway: FakeGateway, now: datetime) -> None:
    gateway.refund_in_dashboard(700)
    ours = asked(paid.id, now, 700)
    callback_id = received(paid.session_id, now)

    too_early = process(callback_id, now)
    services.settle_refund(refund_id=ours, source=Source.POLL, now=now)
    in_time = process(callback_id, now + timedelta(minutes=1))

    assert (too_early, in_time) == (Processing.POSTPONED, Processing.APPLIED)
    assert held_and_back(paid.id) == (700, 700)


@pytest.mark.parametrize("lie", [{"amount": Money(1, "USD")}, {"live": True}])
def test_a_callback_about_other_money_is_quarantined(
    lie: dict[str, object], paid: Attempt, gateway: FakeGateway, now: datetime
) -> None:
    gateway.refund_in_dashboard(300)
    gateway.refund_lies = lie

    result = process(received(paid.session_id, now), now)

    assert result is Processing.QUARANTINED
    assert Callback.objects.get().state == "quarantined"
    assert not Refund.objects.exists()


def test_a_callback_about_a_refund_of_ours_that_differs_is_quarantined(
    paid: Attempt, gateway: FakeGateway, now: datetime
) -> None:
    given_back(paid.id, now, 700)
    gateway.refund_lies = {"amount": Money(70, "EUR")}

    result = process(received(paid.session_id, now), now)

    assert result is Processing.QUARANTINED
    assert Refund.objects.get().review_reason == "amount 70 instead of 700"
    assert held_and_back(paid.id) == (700, 700)


def test_a_gateway_that_does_not_list_is_asked_again(paid: Attempt, gateway: FakeGateway, now: datetime) -> None:
    gateway.refund_in_dashboard(300)
    gateway.fall_silent("list_refunds")
    callback_id = received(paid.session_id, now)

    silent = process(callback_id, now)
    answered = process(callback_id, now + timedelta(minutes=1))

    assert (silent, answered) == (Processing.POSTPONED, Processing.APPLIED)
    assert held_and_back(paid.id) == (300, 300)


@pytest.mark.django_db(transaction=True)
def test_what_news_of_a_refund_asks_of_the_database(
    paid: Attempt, gateway: FakeGateway, now: datetime, statements: Counting
) -> None:
    given_back(paid.id, now, 700)
    gateway.refund_becomes(gateway.only_refund(), RefundState.REVERSED)
    with statements() as storing:
        callback_id = received(paid.session_id, now)
    with statements() as settling:
        process(callback_id, now)

    # One of the two is the test's own look for the callback's id.
    assert len(storing) == 2
    # Claim, whose; the payment again; lock, its refunds, write, post, tell; done.
    assert len(settling) == 9
