"""The end of the payment window: ask, adopt what is final, else close at the gateway, then expire."""

from datetime import datetime, timedelta

import pytest
from pytest_django import Settings

from orders.dto import OrderView
from payments import services
from payments.dto import Expiration, SessionState
from payments.models import Attempt, Payable
from payments.ports import GatewayUnavailable
from payments.states import AttemptStatus, Source
from shop.kernel.auth.dto import Caller
from shop.kernel.ids import new_id
from shop.kernel.money import Money
from tests.orders.factories import again, stock_of
from tests.payments.factories import attempt_in, history, last_failure, started, status_of, told
from tests.payments.fakes import FakeGateway

pytestmark = pytest.mark.django_db

S = AttemptStatus


def test_an_order_nobody_pays_is_closed_at_the_gateway_and_then_expires(
    pending: Attempt, order: OrderView, gateway: FakeGateway
) -> None:
    result = services.expire_order(order_id=order.order_id, now=order.payment_deadline)

    assert result is Expiration.EXPIRED
    assert gateway.calls[-2:] == ["fetch_session", "close_session"]
    assert gateway.sessions[pending.session_id].state is SessionState.CLOSED
    assert status_of(pending.id) == "expired"
    assert told(order) == ["payment.failed"]
    assert last_failure(order) == ("expired", "expired")
    assert again(order).status == "expired"
    assert stock_of()[1] == 0
    assert Payable.objects.get().state == "closed"


def test_an_order_without_any_attempt_expires_too(order: OrderView, gateway: FakeGateway) -> None:
    result = services.expire_order(order_id=order.order_id, now=order.payment_deadline)

    assert result is Expiration.EXPIRED
    assert again(order).status == "expired"
    assert gateway.calls == []


def test_a_session_paid_in_the_last_moment_is_adopted(pending: Attempt, order: OrderView, gateway: FakeGateway) -> None:
    gateway.pay(pending.session_id)

    result = services.expire_order(order_id=order.order_id, now=order.payment_deadline)

    assert result is Expiration.PAID
    assert status_of(pending.id) == "succeeded"
    assert again(order).status == "pending_payment"
    assert told(order) == ["payment.success"]


def test_a_session_paid_while_it_is_being_closed_is_adopted(
    pending: Attempt, order: OrderView, gateway: FakeGateway
) -> None:
    gateway.during("close_session", lambda: gateway.pay(pending.session_id))

    result = services.expire_order(order_id=order.order_id, now=order.payment_deadline)

    assert result is Expiration.PAID
    assert again(order).status == "pending_payment"
    assert told(order) == ["payment.success"]


def test_a_callback_that_settles_while_the_session_is_being_closed_wins(
    pending: Attempt, order: OrderView, gateway: FakeGateway
) -> None:
    def pay_and_settle() -> None:
        gateway.pay(pending.session_id)
        services.settle(attempt_id=pending.id, source=Source.CALLBACK, now=order.payment_deadline)

    gateway.during("close_session", pay_and_settle)

    result = services.expire_order(order_id=order.order_id, now=order.payment_deadline)

    assert result is Expiration.PAID
    assert history(pending.id)[-1] == ("pending", "succeeded")
    assert told(order) == ["payment.success"]


def test_an_order_paid_but_not_told_yet_does_not_expire(
    shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    attempt_in(S.SUCCEEDED, caller=shopper, order=order, gateway=gateway, now=now)

    result = services.expire_order(order_id=order.order_id, now=order.payment_deadline)

    assert result is Expiration.PAID
    assert again(order).status == "pending_payment"


@pytest.mark.parametrize("call", ["fetch_session", "close_session"])
def test_a_gateway_that_is_down_expires_nothing(
    call: str, pending: Attempt, order: OrderView, gateway: FakeGateway
) -> None:
    gateway.fall_silent(call)

    with pytest.raises(GatewayUnavailable):
        services.expire_order(order_id=order.order_id, now=order.payment_deadline)

    assert status_of(pending.id) == "pending"
    assert again(order).status == "pending_payment"
    assert told(order) == []


def test_an_order_that_could_not_expire_is_tried_again_a_minute_later(
    pending: Attempt, order: OrderView, gateway: FakeGateway
) -> None:
    gateway.fall_silent("fetch_session")
    with pytest.raises(GatewayUnavailable):
        services.expire_order(order_id=order.order_id, now=order.payment_deadline)

    at_once = services.expire_order(order_id=order.order_id, now=order.payment_deadline + timedelta(seconds=59))
    later = services.expire_order(order_id=order.order_id, now=order.payment_deadline + timedelta(seconds=60))

    assert (at_once, later) == (Expiration.NOT_DUE, Expiration.EXPIRED)


def test_money_under_way_holds_the_order(pending: Attempt, order: OrderView, gateway: FakeGateway) -> None:
    gateway.become(pending.session_id, SessionState.PROCESSING)

    result = services.expire_order(order_id=order.order_id, now=order.payment_deadline)

    assert result is Expiration.HELD
    assert status_of(pending.id) == "processing"
    assert again(order).status == "pending_payment"


def test_a_quarantined_attempt_holds_the_order(pending: Attempt, order: OrderView, gateway: FakeGateway) -> None:
    gateway.pay(pending.session_id)
    gateway.lies = {"amount": Money(1, "EUR")}

    first = services.expire_order(order_id=order.order_id, now=order.payment_deadline)
    second = services.expire_order(order_id=order.order_id, now=order.payment_deadline + timedelta(hours=1))

    assert (first, second) == (Expiration.HELD, Expiration.HELD)
    assert status_of(pending.id) == "pending"
    assert gateway.sessions[pending.session_id].state is SessionState.PAID


@pytest.mark.parametrize("status", [S.CREATED, S.UNKNOWN])
def test_an_unanswered_attempt_is_resolved_before_its_order_expires(
    status: AttemptStatus, shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    attempt = attempt_in(status, caller=shopper, order=order, gateway=gateway, now=now)

    result = services.expire_order(order_id=order.order_id, now=order.payment_deadline)

    assert result is Expiration.EXPIRED
    assert status_of(attempt.id) == "expired"
    assert gateway.sessions[gateway.only_session()].state is SessionState.CLOSED


def test_an_attempt_that_has_just_moved_is_left_alone_for_a_while(
    shopper: Caller, order: OrderView, gateway: FakeGateway
) -> None:
    shortly_before = order.payment_deadline - timedelta(minutes=1)
    started(shopper, order, shortly_before)

    at_the_deadline = services.expire_order(order_id=order.order_id, now=order.payment_deadline)
    later = services.expire_order(order_id=order.order_id, now=shortly_before + timedelta(minutes=5))

    assert (at_the_deadline, later) == (Expiration.HELD, Expiration.EXPIRED)


def test_a_short_payment_window_shortens_the_quiet_time_with_it(
    pending: Attempt, order: OrderView, settings: Settings, now: datetime
) -> None:
    settings.PAYMENT_WINDOW_SECONDS = 30
    Attempt.objects.update(moved_at=order.payment_deadline - timedelta(seconds=6))

    assert services.expire_order(order_id=order.order_id, now=order.payment_deadline) is Expiration.EXPIRED


def test_nothing_is_closed_before_the_deadline(pending: Attempt, order: OrderView, gateway: FakeGateway) -> None:
    gateway.calls.clear()

    result = services.expire_order(order_id=order.order_id, now=order.payment_deadline - timedelta(seconds=1))

    assert result is Expiration.NOT_DUE
    assert gateway.calls == []
    assert status_of(pending.id) == "pending"


def test_an_attempt_that_begins_while_another_ends_holds_the_order(
    pending: Attempt, shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    def cancel_and_start_again() -> None:
        gateway.become(pending.session_id, SessionState.CANCELLED)
        services.settle(attempt_id=pending.id, source=Source.CALLBACK, now=now)
        started(shopper, order, now)

    gateway.during("close_session", cancel_and_start_again)

    result = services.expire_order(order_id=order.order_id, now=order.payment_deadline)

    assert result is Expiration.HELD
    assert again(order).status == "pending_payment"


def test_killed_after_closing_the_payable_the_order_still_expires(order: OrderView, now: datetime) -> None:
    services.expire_order(order_id=order.order_id, now=now)
    Payable.objects.update(state="closed")

    assert services.expire_order(order_id=order.order_id, now=order.payment_deadline) is Expiration.EXPIRED
    assert again(order).status == "expired"


def test_what_is_not_an_order_does_not_expire(now: datetime) -> None:
    assert services.expire_order(order_id=new_id(), now=now) is Expiration.NOT_DUE


def test_no_attempt_begins_once_the_payable_is_closed(
    shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    services.expire_order(order_id=order.order_id, now=order.payment_deadline)

    with pytest.raises(Exception, match="does not wait for a payment"):
        started(shopper, order, now)
