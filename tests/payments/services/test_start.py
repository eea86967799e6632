"""Starting a payment: one open attempt, one session, whatever dies in between."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta

import pytest
from pytest_django import Settings

from orders import services as orders
from orders.dto import OrderView
from orders.errors import OrderNotFound
from payments import services
from payments.dto import SessionState
from payments.errors import GatewayDown, OrderNotPayable, ReturnUrlNotAllowed, UnknownGateway
from payments.models import Attempt, Payable
from payments.states import AttemptStatus, PayableState, Source
from shop.kernel.auth.dto import Caller
from shop.kernel.ids import new_id
from shop.kernel.money import Money
from shop.kernel.outbox.models import LoggedEvent
from shop.kernel.transactions import TransactionMisuse, open_unit_of_work
from tests.conftest import Statements
from tests.orders.factories import placed
from tests.payments.factories import RETURN_URL, attempt_in, history, last_failure, payable_of, started, status_of, told
from tests.payments.fakes import FakeGateway, Killed

pytestmark = pytest.mark.django_db

Counting = Callable[[], AbstractContextManager[Statements]]


def test_a_new_payment_sends_the_shopper_to_the_gateway(
    shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    begun = started(shopper, order, now)

    session = gateway.sessions[gateway.only_session()]
    assert begun.created
    assert begun.payment.status == "pending"
    assert begun.payment.redirect_url == session.redirect_url
    assert begun.payment.amount == order.totals.total
    assert begun.payment.expires_at == order.payment_deadline
    assert history(begun.payment.payment_id) == [("", "created"), ("created", "pending")]


def test_the_gateway_is_told_what_it_must_know(
    shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    payment = started(shopper, order, now, return_url=f"{RETURN_URL}?a=1&payment_id=forged#top").payment

    request = gateway.requests[gateway.only_session()]
    assert request.idempotency_key == f"attempt-{payment.payment_id}"
    assert request.reference == f"{order.number}-{payment.payment_id.hex[-8:]}"
    assert request.amount == order.totals.total
    assert request.expires_at == order.payment_deadline
    assert request.return_url == f"{RETURN_URL}?a=1&payment_id={payment.payment_id}#top"


def test_starting_again_answers_with_the_open_one(
    shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    first = started(shopper, order, now)

    second = started(shopper, order, now + timedelta(minutes=1), return_url="https://shop.example.com/else")

    assert not second.created
    assert second.payment == first.payment
    assert gateway.calls == ["create_session", "fetch_session"]


def test_starting_again_before_the_callback_of_a_decline_begins_a_new_attempt(
    shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    first = started(shopper, order, now)
    gateway.become(gateway.only_session(), SessionState.FAILED)

    second = started(shopper, order, now + timedelta(seconds=5))

    assert second.created
    assert second.payment.payment_id != first.payment.payment_id
    assert second.payment.status == "pending"
    assert told(order) == ["payment.failed"]


def test_starting_again_before_the_callback_of_a_payment_asks_for_no_second_one(
    shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    started(shopper, order, now)
    gateway.pay(gateway.only_session())

    with pytest.raises(OrderNotPayable):
        started(shopper, order, now + timedelta(seconds=5))

    assert told(order) == ["payment.success"]


def test_a_redirect_is_told_as_what_the_shopper_did(shopper: Caller, order: OrderView, now: datetime) -> None:
    payment = started(shopper, order, now).payment

    action = LoggedEvent.objects.get(topic="analytics.events", payload__name="Payment Redirected")
    assert action.key == shopper.id
    assert action.payload["properties"] == {
        "payment_id": str(payment.payment_id),
        "order_id": str(order.order_id),
        "gateway": "fake",
        "amount": order.totals.total.amount,
        "currency": "EUR",
    }


def test_a_failed_payment_may_be_followed_by_another(
    shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    failed = attempt_in(AttemptStatus.FAILED, caller=shopper, order=order, gateway=gateway, now=now)

    again = started(shopper, order, now)

    assert again.created
    assert again.payment.payment_id != failed.id
    assert len(gateway.sessions) == 2


@pytest.mark.parametrize("after_doing", [False, True])
def test_killed_around_the_call_the_same_session_is_found_in_the_end(
    after_doing: bool, shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    gateway.kill("create_session", after_doing=after_doing)
    with pytest.raises(Killed):
        started(shopper, order, now)
    assert Attempt.objects.get().status == "created"

    again = started(shopper, order, now + timedelta(seconds=30))

    assert not again.created
    assert again.payment.status == "pending"
    assert again.payment.redirect_url == gateway.sessions[gateway.only_session()].redirect_url


@pytest.mark.parametrize("after_doing", [False, True])
def test_a_silent_gateway_leaves_the_attempt_unknown_and_the_same_call_continues_it(
    after_doing: bool, shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    gateway.fall_silent("create_session", after_doing=after_doing)
    with pytest.raises(GatewayDown) as down:
        started(shopper, order, now)
    attempt = Attempt.objects.get()
    assert attempt.status == "unknown"
    assert down.value.data == {"payment_id": str(attempt.id)}
    assert down.value.retry_after_seconds > 0
    assert told(order) == []

    again = started(shopper, order, now)

    assert again.payment.payment_id == attempt.id
    assert again.payment.status == "pending"
    assert len(gateway.sessions) == 1
    assert history(attempt.id) == [("", "created"), ("created", "unknown"), ("unknown", "pending")]


def test_a_call_whose_answer_is_lost_is_answered_by_what_another_call_got(
    shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    def another_call_gets_through() -> None:
        started(shopper, order, now)
        gateway.fall_silent("create_session")

    gateway.during("create_session", another_call_gets_through)

    begun = started(shopper, order, now)

    assert begun.payment.status == "pending"
    assert begun.payment.redirect_url == gateway.sessions[gateway.only_session()].redirect_url


def test_a_session_paid_while_its_answer_was_lost_is_adopted(
    shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    gateway.fall_silent("create_session", after_doing=True)
    with pytest.raises(GatewayDown):
        started(shopper, order, now)
    gateway.pay(gateway.only_session())

    again = started(shopper, order, now)

    assert again.payment.status == "succeeded"
    assert told(order) == ["payment.success"]
    assert len(gateway.sessions) == 1


def test_a_refusal_ends_the_attempt(shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime) -> None:
    gateway.refusal = "currency_not_supported"

    begun = started(shopper, order, now)

    assert begun.payment.status == "failed"
    assert begun.payment.failure_code == "currency_not_supported"
    assert begun.payment.redirect_url == ""
    assert told(order) == ["payment.failed"]
    assert last_failure(order) == ("declined", "currency_not_supported")


def test_a_session_with_another_amount_is_not_handed_out(
    shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    gateway.lies = {"amount": Money(1, "EUR")}

    begun = started(shopper, order, now)

    attempt = Attempt.objects.get()
    assert begun.payment.redirect_url == ""
    assert attempt.status == "created"
    assert attempt.needs_review


def test_anybody_elses_order_is_not_there(stranger: Caller, staff: Caller, order: OrderView, now: datetime) -> None:
    for caller in (stranger, staff):
        with pytest.raises(OrderNotFound):
            started(caller, order, now)

    with pytest.raises(OrderNotFound):
        services.start_attempt(caller=stranger, order_id=new_id(), return_url=RETURN_URL, gateway=None, now=now)
    assert not Attempt.objects.exists()


def test_an_order_past_its_deadline_takes_no_payment(
    shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    with pytest.raises(OrderNotPayable):
        started(shopper, order, order.payment_deadline)

    assert gateway.calls == []


def test_a_cancelled_order_takes_no_payment_even_before_its_news_is_here(
    shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    orders.cancel(caller=shopper, order_id=order.order_id, reason="", now=now)

    with pytest.raises(OrderNotPayable) as refused:
        started(shopper, order, now)

    assert refused.value.data["order_status"] == "cancelled"
    assert gateway.calls == []


def test_an_order_whose_money_came_takes_no_second_payment_before_orders_know(
    shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    attempt_in(AttemptStatus.SUCCEEDED, caller=shopper, order=order, gateway=gateway, now=now)

    with pytest.raises(OrderNotPayable):
        started(shopper, order, now)

    assert Payable.objects.get().state == PayableState.SETTLED
    assert len(gateway.sessions) == 1


def test_both_ways_to_a_payable_meet_in_one_row(shopper: Caller, order: OrderView, now: datetime) -> None:
    started(shopper, order, now)

    with open_unit_of_work():
        services.open_payable(payable=payable_of(order))

    assert Payable.objects.get().order_id == order.order_id


@pytest.mark.parametrize(
    "url",
    [
        "//evil.example/x",
        "https://shop.example.com@evil.example/",
        "https://user:pw@shop.example.com/",
        "\\\\evil.example",
        "https:\\\\shop.example.com/",
        "https://shop.example.com\\@evil.example",
        "https://shop.example.com.evil.example/",
        "https://shop.example.com:444/",
        "http://shop.example.com/",
        "HTTPS://evil.example/",
        "javascript:alert(1)//https://shop.example.com",
        "data:text/html,x",
        "/thanks",
        "",
        "https://",
        "https://[shop.example.com/",
        "https://shop.example.com/\n",
        "https://shop.example.com/\tx",
        " https://shop.example.com/",
        "https://shop.example.com/a b",
        "https://shop.example.com/\x00",
        "https://shop.example.com/\u2028",
        "https://shop\u3002example.com/",
        "https:shop.example.com/",
        "https:///shop.example.com/",
    ],
)
def test_a_return_address_elsewhere_is_refused(
    url: str, shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    with pytest.raises(ReturnUrlNotAllowed):
        started(shopper, order, now, return_url=url)

    assert not Attempt.objects.exists()
    assert gateway.calls == []


def test_a_return_address_may_be_the_bare_origin(
    shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    payment = started(shopper, order, now, return_url="https://shop.example.com").payment

    url = gateway.requests[gateway.only_session()].return_url
    assert url == f"https://shop.example.com?payment_id={payment.payment_id}"


def test_an_unknown_gateway_is_refused(shopper: Caller, order: OrderView, now: datetime) -> None:
    with pytest.raises(UnknownGateway):
        services.start_attempt(
            caller=shopper, order_id=order.order_id, return_url=RETURN_URL, gateway="nobody", now=now
        )


def test_the_gateway_is_never_called_inside_a_unit_of_work(shopper: Caller, order: OrderView, now: datetime) -> None:
    with open_unit_of_work(), pytest.raises(TransactionMisuse):
        started(shopper, order, now)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("articles", [1, 30])
def test_starting_costs_four_statements_and_two_after_the_answer(
    articles: int, shopper: Caller, gateway: FakeGateway, now: datetime, statements: Counting
) -> None:
    order = placed(caller=shopper, now=now, skus=tuple(f"SKU-{number}" for number in range(articles)))
    at_the_call: list[int] = []

    with statements() as counted:
        gateway.during("create_session", lambda: at_the_call.append(len(counted)))
        started(shopper, order, now)

    assert at_the_call == [2]
    assert len(counted) == 4


def test_a_late_settlement_of_the_attempt_moves_nothing_back(
    shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    payment = started(shopper, order, now).payment
    gateway.become(gateway.only_session(), SessionState.OPEN)

    services.settle(attempt_id=payment.payment_id, source=Source.POLL, now=now)

    assert status_of(payment.payment_id) == "pending"


def test_an_origin_may_have_a_port(shopper: Caller, order: OrderView, settings: Settings, now: datetime) -> None:
    settings.PAYMENT_RETURN_ORIGINS = ["http://localhost:3000"]

    assert started(shopper, order, now, return_url="http://localhost:3000/back").created
