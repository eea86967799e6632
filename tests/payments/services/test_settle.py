"""The one settle path: the gateway's word, compared, adopted, told once."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from prometheus_client import REGISTRY

from orders import services as orders
from orders.dto import OrderView
from payments import services
from payments.dto import Outcome, SessionState
from payments.errors import PaymentNotFound
from payments.models import Attempt, Payable
from payments.ports import GatewayRefused, GatewayUnavailable
from payments.queries import attempt_row
from payments.services import settling
from payments.states import AttemptStatus, Source
from shop.kernel.auth.dto import Caller
from shop.kernel.ids import new_id
from shop.kernel.outbox.models import LoggedEvent
from shop.kernel.transactions import TransactionMisuse, open_unit_of_work
from tests.conftest import Statements
from tests.orders.factories import placed
from tests.payments.factories import attempt_in, history, last_failure, started, status_of, told
from tests.payments.fakes import FakeGateway

pytestmark = pytest.mark.django_db

S = AttemptStatus
Counting = Callable[[], AbstractContextManager[Statements]]


def test_a_paid_session_makes_the_payment_succeed(
    pending: Attempt, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    gateway.pay(pending.session_id)

    settlement = services.settle(attempt_id=pending.id, source=Source.CALLBACK, now=now)

    assert (settlement.outcome, settlement.status) == (Outcome.MOVED, "succeeded")
    attempt = Attempt.objects.get()
    assert attempt.captured == attempt.amount == order.totals.total.amount
    assert attempt.next_poll_at is None
    assert Payable.objects.get().state == "settled"
    event = LoggedEvent.objects.get(topic="payment.success")
    assert event.payload["payment_id"] == str(pending.id)
    assert event.payload["gateway_reference"] == pending.session_id
    assert event.payload["amount"] == {"amount": order.totals.total.amount, "currency": "EUR"}
    assert event.key == order.order_id


def test_the_same_word_again_changes_nothing(
    pending: Attempt, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    gateway.pay(pending.session_id)
    services.settle(attempt_id=pending.id, source=Source.CALLBACK, now=now)
    before = history(pending.id)

    again = services.settle(attempt_id=pending.id, source=Source.POLL, now=now)

    assert again.outcome is Outcome.UNCHANGED
    assert history(pending.id) == before
    assert told(order) == ["payment.success"]


@pytest.mark.parametrize(
    "ended",
    [
        (SessionState.FAILED, "card_declined", "failed", ("declined", "card_declined")),
        (SessionState.CANCELLED, "", "cancelled", ("cancelled", "cancelled")),
        (SessionState.EXPIRED, "", "expired", ("expired", "expired")),
    ],
)
def test_a_session_that_ended_without_money_is_told_with_its_reason(
    ended: tuple[SessionState, str, str, tuple[str, str]],
    pending: Attempt,
    order: OrderView,
    gateway: FakeGateway,
    now: datetime,
) -> None:
    state, code, status, reason = ended
    gateway.become(pending.session_id, state, code)

    services.settle(attempt_id=pending.id, source=Source.POLL, now=now)

    assert status_of(pending.id) == status
    assert told(order) == ["payment.failed"]
    assert last_failure(order) == reason
    assert Attempt.objects.get().captured == 0
    assert Payable.objects.get().state == "open"


def test_money_under_way_is_processing_and_then_succeeds(
    pending: Attempt, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    gateway.become(pending.session_id, SessionState.PROCESSING)
    services.settle(attempt_id=pending.id, source=Source.CALLBACK, now=now)
    assert status_of(pending.id) == "processing"
    assert told(order) == []
    gateway.pay(pending.session_id)

    services.settle(attempt_id=pending.id, source=Source.CALLBACK, now=now)

    assert history(pending.id)[2:] == [("pending", "processing"), ("processing", "succeeded")]
    assert told(order) == ["payment.success"]


@pytest.mark.parametrize("ended", [S.FAILED, S.CANCELLED, S.EXPIRED])
def test_money_wins_over_an_ended_attempt(
    ended: AttemptStatus, shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    attempt = attempt_in(ended, caller=shopper, order=order, gateway=gateway, now=now)
    gateway.pay(attempt.session_id)
    counted = REGISTRY.get_sample_value("payments_late_money_total", {"gateway": gateway.name}) or 0

    settlement = services.settle(attempt_id=attempt.id, source=Source.CALLBACK, now=now)

    assert settlement.outcome is Outcome.CORRECTED
    assert REGISTRY.get_sample_value("payments_late_money_total", {"gateway": gateway.name}) == counted + 1
    assert history(attempt.id)[-1] == (ended.value, "succeeded")
    assert told(order) == ["payment.failed", "payment.success"]
    assert Attempt.objects.get().failure_code == ""


@pytest.mark.parametrize("state", [SessionState.FAILED, SessionState.CANCELLED, SessionState.EXPIRED])
def test_failure_after_success_changes_nothing(
    state: SessionState, pending: Attempt, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    gateway.pay(pending.session_id)
    services.settle(attempt_id=pending.id, source=Source.CALLBACK, now=now)
    gateway.become(pending.session_id, state)

    settlement = services.settle(attempt_id=pending.id, source=Source.CALLBACK, now=now)

    assert (settlement.outcome, settlement.status) == (Outcome.UNCHANGED, "succeeded")
    assert told(order) == ["payment.success"]


def test_a_failed_fetch_is_not_a_mismatch(
    pending: Attempt, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    gateway.fall_silent("fetch_session")

    with pytest.raises(GatewayUnavailable):
        services.settle(attempt_id=pending.id, source=Source.CALLBACK, now=now)

    attempt = Attempt.objects.get()
    assert (attempt.status, attempt.needs_review) == ("pending", False)
    assert attempt.next_poll_at is not None
    assert told(order) == []


def test_a_session_its_gateway_denies_stays_as_it_is(pending: Attempt, gateway: FakeGateway, now: datetime) -> None:
    gateway.sessions.clear()

    with pytest.raises(GatewayRefused):
        services.settle(attempt_id=pending.id, source=Source.POLL, now=now)

    assert status_of(pending.id) == "pending"


@pytest.mark.parametrize("status", [S.CREATED, S.UNKNOWN])
def test_an_unanswered_attempt_is_asked_for_by_its_key(
    status: AttemptStatus, shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    attempt = attempt_in(status, caller=shopper, order=order, gateway=gateway, now=now)

    services.settle(attempt_id=attempt.id, source=Source.POLL, now=now)

    resolved = Attempt.objects.get()
    assert resolved.status == "pending"
    assert resolved.session_id == gateway.only_session()
    assert resolved.redirect_url != ""


@pytest.mark.parametrize("status", [S.CREATED, S.UNKNOWN])
def test_an_unanswered_attempt_the_gateway_refuses_has_failed(
    status: AttemptStatus, shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    attempt = attempt_in(status, caller=shopper, order=order, gateway=gateway, now=now)
    gateway.refusal = "expired"

    services.settle(attempt_id=attempt.id, source=Source.POLL, now=now)

    assert status_of(attempt.id) == "failed"
    assert Attempt.objects.get().next_poll_at is None
    assert told(order) == ["payment.failed"]


def test_a_silent_gateway_makes_a_created_attempt_unknown_whoever_asks(
    shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    attempt = attempt_in(S.CREATED, caller=shopper, order=order, gateway=gateway, now=now)
    gateway.fall_silent("create_session", times=2)

    for _ in range(2):
        with pytest.raises(GatewayUnavailable):
            services.settle(attempt_id=attempt.id, source=Source.POLL, now=now)

    assert history(attempt.id) == [("", "created"), ("created", "unknown")]


def test_a_refusal_that_comes_after_somebody_else_got_through_changes_nothing(
    shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    attempt = attempt_in(S.CREATED, caller=shopper, order=order, gateway=gateway, now=now)

    def get_through_and_refuse_from_then_on() -> None:
        services.settle(attempt_id=attempt.id, source=Source.START, now=now)
        gateway.by_key.clear()
        gateway.refusal = "too_late"

    gateway.during("create_session", get_through_and_refuse_from_then_on)

    settlement = services.settle(attempt_id=attempt.id, source=Source.POLL, now=now)

    assert settlement.outcome is Outcome.UNCHANGED
    assert status_of(attempt.id) == "pending"
    assert told(order) == []


def test_a_silence_that_ends_after_somebody_else_got_through_changes_nothing(
    shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    attempt = attempt_in(S.CREATED, caller=shopper, order=order, gateway=gateway, now=now)

    def get_through() -> None:
        services.settle(attempt_id=attempt.id, source=Source.START, now=now)
        gateway.fall_silent("create_session")

    gateway.during("create_session", get_through)

    with pytest.raises(GatewayUnavailable):
        services.settle(attempt_id=attempt.id, source=Source.POLL, now=now)

    assert status_of(attempt.id) == "pending"


def test_an_attempt_that_never_had_a_session_is_not_asked_about(
    shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    gateway.refusal = "no"
    payment = started(shopper, order, now).payment
    gateway.calls.clear()

    settlement = services.settle(attempt_id=payment.payment_id, source=Source.STAFF, now=now)

    assert settlement.outcome is Outcome.UNCHANGED
    assert gateway.calls == []


def test_two_attempts_that_both_succeed_are_both_told(
    shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    first = attempt_in(S.FAILED, caller=shopper, order=order, gateway=gateway, now=now)
    second = Attempt.objects.get(id=started(shopper, order, now).payment.payment_id)
    for attempt in (second, first):
        gateway.pay(attempt.session_id)

    for attempt in (second, first):
        services.settle(attempt_id=attempt.id, source=Source.CALLBACK, now=now)

    assert told(order) == ["payment.failed", "payment.success", "payment.success"]


def test_late_money_has_the_other_open_attempt_closed(
    shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    first = attempt_in(S.FAILED, caller=shopper, order=order, gateway=gateway, now=now)
    second = Attempt.objects.get(id=started(shopper, order, now).payment.payment_id)
    gateway.pay(first.session_id)
    services.settle(attempt_id=first.id, source=Source.CALLBACK, now=now)

    services.poll(attempt_id=second.id, now=now)

    assert gateway.sessions[second.session_id].state is SessionState.CLOSED
    assert status_of(second.id) == "cancelled"


def test_money_for_a_cancelled_order_is_told_all_the_same(
    pending: Attempt, shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    orders.cancel(caller=shopper, order_id=order.order_id, reason="", now=now)
    gateway.pay(pending.session_id)

    services.settle(attempt_id=pending.id, source=Source.CALLBACK, now=now)

    assert told(order) == ["payment.success"]


def test_an_unknown_payment_is_not_found(now: datetime) -> None:
    with pytest.raises(PaymentNotFound):
        services.settle(attempt_id=new_id(), source=Source.STAFF, now=now)


def test_an_attempt_of_another_order_is_not_locked(pending: Attempt, gateway: FakeGateway, now: datetime) -> None:
    row = attempt_row(attempt_id=pending.id)
    assert row is not None
    word = gateway.fetch_session(pending.session_id)

    with pytest.raises(PaymentNotFound):
        settling.adopt(attempt=replace(row, order_id=new_id()), word=word, source=Source.POLL, now=now)


def test_settling_never_happens_inside_a_unit_of_work(pending: Attempt, now: datetime) -> None:
    with open_unit_of_work(), pytest.raises(TransactionMisuse):
        services.settle(attempt_id=pending.id, source=Source.POLL, now=now)


def test_what_ended_is_looked_at_again_after_an_hour_and_a_day(
    shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    attempt = attempt_in(S.EXPIRED, caller=shopper, order=order, gateway=gateway, now=now)

    slots = []
    while (slot := Attempt.objects.get().next_poll_at) is not None:
        slots.append(slot)
        services.poll(attempt_id=attempt.id, now=slot)

    assert slots == [now + timedelta(hours=1), now + timedelta(hours=25)]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("articles", [1, 30])
def test_settling_costs_four_statements_and_nothing_changed_two(
    articles: int, shopper: Caller, gateway: FakeGateway, now: datetime, statements: Counting
) -> None:
    order = placed(caller=shopper, now=now, skus=tuple(f"SKU-{number}" for number in range(articles)))
    payment = started(shopper, order, now).payment
    with statements() as unchanged:
        services.settle(attempt_id=payment.payment_id, source=Source.POLL, now=now)
    gateway.pay(gateway.only_session())

    with statements() as moved:
        services.settle(attempt_id=payment.payment_id, source=Source.POLL, now=now)

    assert len(unchanged) == 2
    assert len(moved) == 4
