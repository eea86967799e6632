"""What an open circuit means for payments: work waits, and nothing is lost."""

from contextlib import suppress
from datetime import datetime, timedelta

import pytest
from pytest_django import Settings

from orders.dto import OrderView
from payments import services, tasks
from payments.dto import Processing
from payments.errors import GatewayDown
from payments.models import Attempt, Callback
from payments.services.circuits import Circuit, GatewayHeldBack, circuit_of
from payments.states import AttemptStatus
from shop.kernel.auth.dto import Caller
from tests.orders.factories import placed
from tests.payments.circuits import PAUSE_SECONDS, Watch, silent
from tests.payments.factories import attempt_in, history, received, started, status_of, told
from tests.payments.fakes import FakeGateway

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("circuit_rules")]

S = AttemptStatus


@pytest.fixture
def opened(gateway: FakeGateway, watch: Watch) -> Circuit:
    """The circuit of the shop's gateway, open."""
    silent(circuit_of("fake"), times=3)
    return circuit_of("fake")


def test_starting_a_payment_keeps_the_attempt_says_when_to_come_back_and_asks_nothing(
    opened: Circuit, shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    with pytest.raises(GatewayDown) as refused:
        started(shopper, order, now)

    attempt = Attempt.objects.get()
    assert refused.value.retry_after_seconds == PAUSE_SECONDS
    assert refused.value.data == {"payment_id": str(attempt.id)}
    # Nobody asked, so there is nothing unknown about it.
    assert history(attempt.id) == [("", "created")]
    assert gateway.calls == []


def test_the_kept_attempt_is_resolved_by_the_clock_once_the_gateway_is_back(
    opened: Circuit, shopper: Caller, order: OrderView, now: datetime, watch: Watch
) -> None:
    with suppress(GatewayDown):
        started(shopper, order, now)
    attempt = Attempt.objects.get()
    watch.at += PAUSE_SECONDS

    services.poll(attempt_id=attempt.id, now=now + timedelta(seconds=60))

    assert status_of(attempt.id) == "pending"


def test_a_poll_that_was_held_back_spends_no_turn(
    opened: Circuit, shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    with suppress(GatewayDown):
        started(shopper, order, now)
    Attempt.objects.update(status="unknown", polls=7, next_poll_at=now)
    attempt = Attempt.objects.get()

    for hour in range(100):
        at = now + timedelta(hours=hour)
        with pytest.raises(GatewayHeldBack):
            services.poll(attempt_id=attempt.id, now=at)
        row = Attempt.objects.get()
        assert (row.polls, row.next_poll_at) == (7, at + timedelta(seconds=PAUSE_SECONDS))

    assert (row.status, row.review_reason) == ("unknown", "")
    assert told(order) == []
    assert gateway.calls == []


def test_a_callback_that_was_held_back_comes_no_nearer_to_its_death(
    shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime, watch: Watch
) -> None:
    started(shopper, order, now)
    gateway.pay(gateway.only_session())
    callback_id = received(gateway.only_session(), now)
    silent(circuit_of("fake"), times=3)

    for turn in range(50):
        at = now + timedelta(seconds=turn * PAUSE_SECONDS)
        assert services.process_callback(callback_id=callback_id, now=at) is Processing.PUT_OFF
        assert Callback.objects.get().attempts == 0
    watch.at += PAUSE_SECONDS
    processed = services.process_callback(callback_id=callback_id, now=at + timedelta(seconds=PAUSE_SECONDS))

    assert processed is Processing.APPLIED
    assert told(order) == ["payment.success"]


def test_nothing_expires_while_nobody_may_ask(
    shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime, watch: Watch
) -> None:
    attempt = attempt_in(S.PENDING, caller=shopper, order=order, gateway=gateway, now=now)
    silent(circuit_of("fake"), times=3)

    with pytest.raises(GatewayHeldBack):
        services.expire_order(order_id=order.order_id, now=order.payment_deadline + timedelta(hours=1))

    assert status_of(attempt.id) == "pending"
    assert told(order) == []


def test_a_payment_is_read_from_the_database_while_nobody_may_ask(
    shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime, watch: Watch
) -> None:
    attempt = attempt_in(S.PENDING, caller=shopper, order=order, gateway=gateway, now=now)
    silent(circuit_of("fake"), times=3)
    gateway.calls.clear()

    seen = services.look(payment_id=attempt.id, now=now)

    assert seen is not None
    assert seen.status == "pending"
    assert gateway.calls == []


def test_one_gateways_open_circuit_does_not_keep_the_clock_from_the_rows_behind(
    shopper: Caller, gateway: FakeGateway, now: datetime, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.GATEWAYS = {**settings.GATEWAYS, "other": settings.GATEWAYS["fake"]}
    monkeypatch.setattr(tasks, "utc_now", lambda: now + timedelta(minutes=1))
    orders = [placed(caller=shopper, now=now) for _ in range(8)]
    for order in orders:
        started(shopper, order, now)
    Attempt.objects.filter(payable_id=orders[-1].order_id).update(gateway="other")
    for session_id in gateway.sessions:
        gateway.pay(session_id)
    silent(circuit_of("fake"), times=3)

    tasks.poll_attempts()

    assert [len(told(order)) for order in orders] == [0] * 7 + [1]


def test_the_gateway_down_two_hours_fails_nothing(
    shopper: Caller, gateway: FakeGateway, now: datetime, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [now]
    monkeypatch.setattr(tasks, "utc_now", lambda: clock[0])
    orders = [placed(caller=shopper, now=now) for _ in range(3)]
    started(shopper, orders[0], now)
    paid_session = gateway.only_session()
    gateway.pay(paid_session)
    for call in ("create_session", "fetch_session", "close_session"):
        gateway.fall_silent(call, times=10_000)
    received(paid_session, now)
    for order in orders[1:]:
        with suppress(GatewayDown):
            started(shopper, order, now)

    for _ in range(2 * 60 * 6):
        clock[0] += timedelta(seconds=10)
        watch.at += 10
        tasks.settle_callbacks()
        tasks.poll_attempts()
        tasks.expire_orders()

    assert set(Attempt.objects.values_list("status", flat=True)) <= {"pending", "created", "unknown"}
    assert set(Attempt.objects.values_list("review_reason", flat=True)) == {""}
    assert Callback.objects.get().state == "received"
    assert [told(order) for order in orders] == [[], [], []]


def test_cancelling_says_when_to_come_back(
    shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime, watch: Watch
) -> None:
    attempt = attempt_in(S.PENDING, caller=shopper, order=order, gateway=gateway, now=now)
    silent(circuit_of("fake"), times=3)

    with pytest.raises(GatewayDown) as refused:
        services.cancel_attempt(caller=shopper, payment_id=attempt.id, now=now)

    assert refused.value.retry_after_seconds == PAUSE_SECONDS
    assert status_of(attempt.id) == "pending"
