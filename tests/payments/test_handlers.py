"""News of orders: a payable is opened, or closed together with the session of its open attempt."""

from datetime import UTC, datetime

import pytest

from orders import services as orders
from orders.dto import OrderView
from orders.events import OrderCancelled, OrderCreated
from payments import handlers, services
from payments.dto import SessionState
from payments.errors import OrderNotPayable
from payments.models import Attempt, Payable
from payments.ports import GatewayUnavailable
from payments.states import AttemptStatus
from shop.kernel.auth.dto import Caller
from shop.kernel.ids import new_id
from shop.kernel.transactions import TransactionMisuse, open_unit_of_work
from tests.orders.factories import given_away
from tests.payments.factories import attempt_in, last_failure, started, status_of, told
from tests.payments.fakes import FakeGateway

pytestmark = pytest.mark.django_db


@pytest.fixture
def now() -> datetime:
    """The present: handlers read the clock themselves, as edges do."""
    return datetime.now(UTC)


def created_event(order: OrderView, now: datetime) -> OrderCreated:
    return OrderCreated(
        occurred_at=now,
        order_id=order.order_id,
        number=order.number,
        user_id=order.user_id,
        guest=order.guest,
        lines=(),
        shipping=order.totals.shipping,
        tax=order.totals.tax,
        total=order.totals.total,
        payment_deadline=order.payment_deadline,
    )


def cancelled_event(order: OrderView, now: datetime) -> OrderCancelled:
    return OrderCancelled(
        occurred_at=now,
        order_id=order.order_id,
        number=order.number,
        user_id=order.user_id,
        guest=order.guest,
        total=order.totals.total,
        reason="requested_by_shopper",
        was_paid=False,
    )


def hear_created(order: OrderView, now: datetime) -> None:
    with open_unit_of_work():
        handlers.order_created(event=created_event(order, now), event_id=new_id())


def hear_cancelled(order: OrderView, now: datetime) -> None:
    with open_unit_of_work():
        handlers.order_cancelled(event=cancelled_event(order, now), event_id=new_id())


def test_a_created_order_opens_its_payable_once(order: OrderView, now: datetime) -> None:
    hear_created(order, now)
    hear_created(order, now)

    payable = Payable.objects.get()
    assert (payable.order_id, payable.number, payable.state) == (order.order_id, order.number, "open")
    assert (payable.amount, payable.deadline) == (order.totals.total.amount, order.payment_deadline)


def test_an_order_that_costs_nothing_asks_for_no_money(shopper: Caller, gateway: FakeGateway, now: datetime) -> None:
    order = given_away(caller=shopper, now=now)

    hear_created(order, now)

    with pytest.raises(OrderNotPayable) as refused:
        started(shopper, order, now)
    assert refused.value.data["order_status"] == "paid"
    assert not Payable.objects.exists()
    assert gateway.calls == []


def test_a_handler_needs_the_consumers_unit_of_work(order: OrderView, now: datetime) -> None:
    with pytest.raises(TransactionMisuse):
        handlers.order_created(event=created_event(order, now), event_id=new_id())


def test_a_cancelled_order_has_its_session_closed_by_the_clock(
    shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    payment = started(shopper, order, now).payment
    gateway.calls.clear()

    hear_cancelled(order, now)
    asked_in_the_handler = list(gateway.calls)
    services.poll(attempt_id=payment.payment_id, now=datetime.now(UTC))

    assert asked_in_the_handler == []
    assert gateway.calls == ["close_session"]
    assert status_of(payment.payment_id) == "cancelled"
    assert last_failure(order) == ("cancelled", "cancelled")
    assert Payable.objects.get().state == "closed"


def test_a_session_paid_before_it_could_be_closed_is_money_all_the_same(
    shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    payment = started(shopper, order, now).payment
    hear_cancelled(order, now)
    gateway.pay(gateway.only_session())

    services.poll(attempt_id=payment.payment_id, now=datetime.now(UTC))

    assert status_of(payment.payment_id) == "succeeded"
    assert told(order) == ["payment.success"]


@pytest.mark.parametrize("status", [AttemptStatus.CREATED, AttemptStatus.UNKNOWN])
def test_a_session_nobody_confirmed_is_found_and_closed(
    status: AttemptStatus, shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    attempt = attempt_in(status, caller=shopper, order=order, gateway=gateway, now=now)
    hear_cancelled(order, now)

    services.poll(attempt_id=attempt.id, now=datetime.now(UTC))

    assert gateway.sessions[gateway.only_session()].state is SessionState.CLOSED
    assert status_of(attempt.id) == "cancelled"


def test_a_session_the_gateway_refuses_to_make_need_not_be_closed(
    shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    attempt = attempt_in(AttemptStatus.UNKNOWN, caller=shopper, order=order, gateway=gateway, now=now)
    hear_cancelled(order, now)
    gateway.refusal = "no"
    gateway.calls.clear()

    services.poll(attempt_id=attempt.id, now=datetime.now(UTC))

    assert status_of(attempt.id) == "failed"
    assert gateway.calls == ["create_session"]


def test_closing_is_tried_again_when_the_gateway_is_down(
    shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    payment = started(shopper, order, now).payment
    hear_cancelled(order, now)
    gateway.fall_silent("close_session")
    with pytest.raises(GatewayUnavailable):
        services.poll(attempt_id=payment.payment_id, now=datetime.now(UTC))

    slot = Attempt.objects.get().next_poll_at
    assert slot is not None
    services.poll(attempt_id=payment.payment_id, now=slot)

    assert status_of(payment.payment_id) == "cancelled"


def test_news_of_a_cancellation_may_overtake_news_of_the_order(order: OrderView, now: datetime) -> None:
    hear_cancelled(order, now)
    hear_created(order, now)

    assert Payable.objects.get().state == "closed"


def test_a_closed_payable_takes_no_attempt(shopper: Caller, order: OrderView, now: datetime) -> None:
    hear_cancelled(order, now)

    with pytest.raises(OrderNotPayable):
        started(shopper, order, now)


def test_a_session_closed_after_its_deadline_for_a_cancelled_order_was_cancelled(
    shopper: Caller, order: OrderView, now: datetime
) -> None:
    payment = started(shopper, order, now).payment
    hear_cancelled(order, now)

    services.poll(attempt_id=payment.payment_id, now=order.payment_deadline)

    assert last_failure(order) == ("cancelled", "cancelled")


def test_cancelling_a_paid_order_leaves_its_payment_alone(
    shopper: Caller, staff: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    attempt = attempt_in(AttemptStatus.SUCCEEDED, caller=shopper, order=order, gateway=gateway, now=now)
    orders.cancel(caller=staff, order_id=order.order_id, reason="", now=now)

    hear_cancelled(order, now)

    assert Payable.objects.get().state == "settled"
    assert status_of(attempt.id) == "succeeded"
    assert Attempt.objects.get().next_poll_at is None
