"""Calling a payment off: the gateway decides between closing and paying."""

from datetime import datetime

import pytest

from orders.dto import OrderView
from payments import services
from payments.dto import SessionState
from payments.errors import GatewayDeniesPayment, GatewayDown, PaymentNotFound
from payments.models import Attempt
from payments.states import AttemptStatus
from shop.kernel.auth.dto import Caller
from shop.kernel.errors import IllegalTransition
from shop.kernel.ids import new_id
from tests.orders.factories import again
from tests.payments.factories import attempt_in, history, started, status_of, told
from tests.payments.fakes import FakeGateway

pytestmark = pytest.mark.django_db

S = AttemptStatus


def test_a_cancelled_payment_is_closed_at_the_gateway_and_leaves_the_order_payable(
    pending: Attempt, shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    cancelled = services.cancel_attempt(caller=shopper, payment_id=pending.id, now=now)

    assert (cancelled.status, cancelled.failure_code) == ("cancelled", "cancelled")
    assert gateway.sessions[pending.session_id].state is SessionState.CLOSED
    assert told(order) == ["payment.failed"]
    assert again(order).status == "pending_payment"
    assert started(shopper, order, now).created


def test_cancelling_twice_changes_nothing_more(
    pending: Attempt, shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    services.cancel_attempt(caller=shopper, payment_id=pending.id, now=now)
    gateway.calls.clear()

    second = services.cancel_attempt(caller=shopper, payment_id=pending.id, now=now)

    assert second.status == "cancelled"
    assert gateway.calls == []
    assert told(order) == ["payment.failed"]


def test_a_session_that_is_paid_is_adopted_instead(
    pending: Attempt, shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    gateway.pay(pending.session_id)

    with pytest.raises(IllegalTransition) as refused:
        services.cancel_attempt(caller=shopper, payment_id=pending.id, now=now)

    assert refused.value.data == {"current": "succeeded", "wanted": "cancelled"}
    assert told(order) == ["payment.success"]


def test_money_under_way_cannot_be_called_back(
    pending: Attempt, shopper: Caller, gateway: FakeGateway, now: datetime
) -> None:
    gateway.become(pending.session_id, SessionState.PROCESSING)

    with pytest.raises(IllegalTransition):
        services.cancel_attempt(caller=shopper, payment_id=pending.id, now=now)

    assert status_of(pending.id) == "processing"


@pytest.mark.parametrize("status", [S.FAILED, S.EXPIRED, S.SUCCEEDED])
def test_what_is_final_is_not_cancelled(
    status: AttemptStatus, shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    attempt = attempt_in(status, caller=shopper, order=order, gateway=gateway, now=now)
    gateway.calls.clear()

    with pytest.raises(IllegalTransition):
        services.cancel_attempt(caller=shopper, payment_id=attempt.id, now=now)

    assert status_of(attempt.id) == status.value
    assert gateway.calls == []


def test_a_closing_that_is_answered_with_another_payment_cancels_nothing(
    pending: Attempt, shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    gateway.lies = {"reference": "somebody-elses"}

    with pytest.raises(IllegalTransition):
        services.cancel_attempt(caller=shopper, payment_id=pending.id, now=now)

    attempt = Attempt.objects.get()
    assert (attempt.status, attempt.needs_review) == ("pending", True)
    assert told(order) == []


def test_a_quarantined_payment_is_never_cancelled(
    pending: Attempt, staff: Caller, gateway: FakeGateway, now: datetime
) -> None:
    Attempt.objects.update(review_reason="amount 1 instead of 2")
    gateway.calls.clear()

    with pytest.raises(IllegalTransition):
        services.cancel_attempt(caller=staff, payment_id=pending.id, now=now)

    assert gateway.calls == []


@pytest.mark.parametrize("status", [S.CREATED, S.UNKNOWN])
def test_an_unanswered_payment_is_found_first(
    status: AttemptStatus, shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    attempt = attempt_in(status, caller=shopper, order=order, gateway=gateway, now=now)

    cancelled = services.cancel_attempt(caller=shopper, payment_id=attempt.id, now=now)

    assert cancelled.status == "cancelled"
    assert history(attempt.id)[-2:] == [(status.value, "pending"), ("pending", "cancelled")]


def test_a_silent_gateway_cancels_nothing(
    pending: Attempt, shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    gateway.fall_silent("close_session")

    with pytest.raises(GatewayDown):
        services.cancel_attempt(caller=shopper, payment_id=pending.id, now=now)

    assert status_of(pending.id) == "pending"
    assert told(order) == []


def test_staff_may_cancel_and_strangers_see_nothing(
    pending: Attempt, staff: Caller, stranger: Caller, now: datetime
) -> None:
    with pytest.raises(PaymentNotFound):
        services.cancel_attempt(caller=stranger, payment_id=pending.id, now=now)
    assert status_of(pending.id) == "pending"

    assert services.cancel_attempt(caller=staff, payment_id=pending.id, now=now).status == "cancelled"


def test_what_is_not_there_is_not_found(shopper: Caller, now: datetime) -> None:
    with pytest.raises(PaymentNotFound):
        services.cancel_attempt(caller=shopper, payment_id=new_id(), now=now)


def test_a_payment_the_gateway_denies_is_not_cancelled_and_says_so(
    pending: Attempt, shopper: Caller, gateway: FakeGateway, now: datetime
) -> None:
    gateway.deny("close_session", "resource_missing")

    with pytest.raises(GatewayDeniesPayment) as denied:
        services.cancel_attempt(caller=shopper, payment_id=pending.id, now=now)

    assert denied.value.data == {"payment_id": str(pending.id), "provider_code": "resource_missing"}
    assert status_of(pending.id) == "pending"
