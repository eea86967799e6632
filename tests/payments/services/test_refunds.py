"""Money goes back once: asked for and held, sent under a key of its own, brought to the gateway's word."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection

from orders.dto import OrderView
from payments import queries, services
from payments.dto import Outcome, RefundState
from payments.errors import PaymentNotFound, RefundExceedsCaptured, RefundNotFound
from payments.models import Attempt, Refund, RefundMove
from payments.ports import GatewayUnavailable
from payments.states import AttemptStatus, RefundCause, RefundStatus, Source
from shop.kernel.auth.dto import Caller
from shop.kernel.ids import new_id
from shop.kernel.money import Money
from shop.kernel.outbox.models import LoggedEvent
from shop.kernel.transactions import TransactionMisuse, open_unit_of_work
from tests.conftest import Statements
from tests.payments.factories import attempt_in, told
from tests.payments.fakes import FakeGateway, Killed
from tests.payments.ledger import assert_adds_up, entries
from tests.payments.refunds import asked, given_back, held_and_back, refund_history, refund_in, settle

pytestmark = pytest.mark.django_db

S = RefundStatus
LATER = timedelta(minutes=2)
Counting = Callable[[], AbstractContextManager[Statements]]


# --- asked for ---


def test_a_refund_is_written_down_and_held_before_the_gateway_hears_of_it(
    paid: Attempt, gateway: FakeGateway, now: datetime
) -> None:
    view = services.request_refund(payment_id=paid.id, amount=Money(400, "EUR"), reason="A dent.", now=now)

    assert (view.amount, view.status, view.cause) == (Money(400, "EUR"), "requested", "requested")
    assert (view.payment_id, view.order_id, view.reason) == (paid.id, paid.payable_id, "A dent.")
    assert queries.refund(refund_id=view.refund_id) == view
    assert held_and_back(paid.id) == (400, 0)
    assert refund_history(view.refund_id) == ["requested"]
    assert gateway.refunds == {}


def test_without_an_amount_all_that_is_left_goes_back(paid: Attempt, now: datetime) -> None:
    given_back(paid.id, now, 300)

    rest = services.request_refund(payment_id=paid.id, amount=None, reason="", now=now)

    assert rest.amount == Money(700, "EUR")
    assert held_and_back(paid.id) == (1_000, 300)


def test_four_hundred_and_six_hundred_go_back_and_then_not_one_more(
    paid: Attempt, ten_euros: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    first, second = given_back(paid.id, now, 400), given_back(paid.id, now, 600)

    with pytest.raises(RefundExceedsCaptured) as refused:
        asked(paid.id, now, 1)
    with pytest.raises(RefundExceedsCaptured):
        asked(paid.id, now)

    assert refused.value.data["refundable"] == {"amount": 0, "currency": "EUR"}
    assert held_and_back(paid.id) == (1_000, 1_000)
    assert [row.id for row in queries.refund_rows(attempt_id=paid.id)] == [first, second]
    assert sorted(refund.amount.amount for refund in gateway.refunds.values()) == [400, 600]
    assert told(ten_euros) == ["payment.success", "refund.succeeded", "refund.succeeded"]
    assert_adds_up()


@pytest.mark.parametrize("amount", [Money(1_001, "EUR"), Money(500, "USD"), Money(0, "EUR"), Money(-1, "EUR")])
def test_what_did_not_come_does_not_go_back(paid: Attempt, amount: Money, now: datetime) -> None:
    with pytest.raises(RefundExceedsCaptured) as refused:
        services.request_refund(payment_id=paid.id, amount=amount, reason="", now=now)

    assert refused.value.data["refundable"] == {"amount": 1_000, "currency": "EUR"}
    assert held_and_back(paid.id) == (0, 0)
    assert not Refund.objects.exists()


@pytest.mark.parametrize("status", [status for status in AttemptStatus if status is not AttemptStatus.SUCCEEDED])
def test_an_unpaid_payment_has_nothing_to_give_back(
    status: AttemptStatus, shopper: Caller, ten_euros: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    unpaid = attempt_in(status, caller=shopper, order=ten_euros, gateway=gateway, now=now)

    with pytest.raises(RefundExceedsCaptured) as refused:
        asked(unpaid.id, now)

    assert refused.value.data == {"payment_id": str(unpaid.id), "refundable": {"amount": 0, "currency": "EUR"}}
    assert not Refund.objects.exists()


def test_a_payment_nobody_knows_gives_nothing_back(now: datetime) -> None:
    with pytest.raises(PaymentNotFound):
        asked(new_id(), now)


def test_the_database_lets_no_more_be_held_than_came(paid: Attempt, now: datetime) -> None:
    with pytest.raises(IntegrityError, match="payments_attempt_refunds_within_captured"):
        Attempt.objects.filter(id=paid.id).update(refund_held=1_001)


# --- sent ---


def test_money_goes_back_and_is_told_and_posted(
    paid: Attempt, ten_euros: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    refund_id = asked(paid.id, now, 700)

    settlement = services.settle_refund(refund_id=refund_id, source=Source.STAFF, now=now)

    assert (settlement.refund_id, settlement.outcome, settlement.status) == (refund_id, Outcome.MOVED, "succeeded")
    assert gateway.calls[-1] == "create_refund"
    sent = gateway.refunds[gateway.only_refund()]
    assert (sent.amount, sent.reference, sent.session_id) == (Money(700, "EUR"), str(refund_id), paid.session_id)
    assert gateway.refund_by_key == {f"refund-{refund_id}": sent.refund_id}
    refund = Refund.objects.get()
    assert (refund.gateway_refund_id, refund.failure_code, refund.review_reason) == (sent.refund_id, "", "")
    assert refund_history(refund_id) == ["requested", "submitted", "succeeded"]
    assert held_and_back(paid.id) == (700, 700)
    assert entries()[1:] == [("refund", "customer_liability", "gateway_receivable", 700, "EUR")]
    event = LoggedEvent.objects.get(topic="refund.succeeded")
    assert event.key == ten_euros.order_id
    assert event.payload["refund_id"] == str(refund_id)
    assert event.payload["payment_id"] == str(paid.id)
    assert event.payload["amount"] == {"amount": 700, "currency": "EUR"}
    assert event.payload["cause"] == "requested"


def test_settling_again_changes_nothing(
    paid: Attempt, ten_euros: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    refund_id = given_back(paid.id, now, 700)

    again = services.settle_refund(refund_id=refund_id, source=Source.POLL, now=now)

    assert (again.outcome, again.status) == (Outcome.UNCHANGED, "succeeded")
    assert gateway.calls[-1] == "fetch_refund"
    assert told(ten_euros) == ["payment.success", "refund.succeeded"]
    assert len(gateway.refunds) == 1


def test_a_bank_may_take_days(paid: Attempt, ten_euros: OrderView, gateway: FakeGateway, now: datetime) -> None:
    refund = refund_in(S.SUBMITTED, paid=paid, gateway=gateway, now=now)

    waiting = settle(refund.id, now + timedelta(days=3))
    gateway.refund_becomes(refund.gateway_refund_id, RefundState.SUCCEEDED)
    done = settle(refund.id, now + timedelta(days=4))

    assert (waiting, done) == ("submitted", "succeeded")
    assert refund_history(refund.id) == ["requested", "submitted", "succeeded"]
    assert told(ten_euros) == ["payment.success", "refund.succeeded"]


def test_a_time_out_after_the_gateway_did_it_makes_one_refund(
    paid: Attempt, gateway: FakeGateway, now: datetime
) -> None:
    refund_id = asked(paid.id, now, 700)
    gateway.fall_silent("create_refund", after_doing=True)

    with pytest.raises(GatewayUnavailable):
        settle(refund_id, now)
    unknown = Refund.objects.get()
    done = settle(refund_id, now + LATER)

    assert (unknown.status, unknown.gateway_refund_id) == ("unknown", "")
    assert done == "succeeded"
    assert refund_history(refund_id) == ["requested", "submitted", "unknown", "succeeded"]
    assert len(gateway.refunds) == 1
    assert held_and_back(paid.id) == (700, 700)
    assert_adds_up()


def test_a_time_out_before_the_gateway_did_it_keeps_row_and_key(
    paid: Attempt, gateway: FakeGateway, now: datetime
) -> None:
    refund = refund_in(S.UNKNOWN, paid=paid, gateway=gateway, now=now)

    held = held_and_back(paid.id)
    done = settle(refund.id, now + LATER)

    assert held == (700, 0)
    assert done == "succeeded"
    assert list(gateway.refund_by_key) == [f"refund-{refund.id}"]
    assert gateway.calls[-2:] == ["list_refunds", "create_refund"]


def test_a_gateway_that_forgot_the_key_is_not_asked_twice(paid: Attempt, gateway: FakeGateway, now: datetime) -> None:
    refund_id = asked(paid.id, now, 400)
    gateway.fall_silent("create_refund", after_doing=True)
    with pytest.raises(GatewayUnavailable):
        settle(refund_id, now)
    gateway.forget_keys()

    done = settle(refund_id, now + timedelta(days=2))

    assert done == "succeeded"
    assert len(gateway.refunds) == 1


def test_killed_before_the_call_it_goes_on_with_the_same_key(
    paid: Attempt, gateway: FakeGateway, now: datetime
) -> None:
    refund = refund_in(S.REQUESTED, paid=paid, gateway=gateway, now=now)

    services.poll_refund(refund_id=refund.id, now=now + LATER)

    assert refund.status == "requested"
    assert Refund.objects.get().status == "succeeded"
    assert list(gateway.refund_by_key) == [f"refund-{refund.id}"]
    assert held_and_back(paid.id) == (700, 700)


def test_killed_after_the_gateway_did_it_there_is_one_refund(
    paid: Attempt, gateway: FakeGateway, now: datetime
) -> None:
    refund_id = asked(paid.id, now, 400)
    gateway.kill("create_refund", after_doing=True)
    with pytest.raises(Killed):
        settle(refund_id, now)
    gateway.forget_keys()

    services.poll_refund(refund_id=refund_id, now=now + LATER)

    assert Refund.objects.get().status == "succeeded"
    assert len(gateway.refunds) == 1
    assert held_and_back(paid.id) == (400, 400)


@pytest.mark.parametrize("at", range(1, 5))
def test_killed_while_the_word_is_written_down_it_is_adopted_once(
    at: int, paid: Attempt, ten_euros: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    refund_id = asked(paid.id, now, 400)
    left = [at]

    def kill(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        answer = execute(sql, params, many, context)
        left[0] -= "payments_refund" in sql or "outbox" in sql or "payments_posting" in sql
        if left[0] < 0:
            raise Killed
        return answer

    with pytest.raises(Killed), connection.execute_wrapper(kill):
        settle(refund_id, now)
    between = (Refund.objects.get().status, held_and_back(paid.id), told(ten_euros))
    services.poll_refund(refund_id=refund_id, now=now + LATER)

    assert between == ("requested", (400, 0), ["payment.success"])
    assert Refund.objects.get().status == "succeeded"
    assert len(gateway.refunds) == 1
    assert told(ten_euros) == ["payment.success", "refund.succeeded"]
    assert_adds_up()


# --- what orders owe ---


def due(paid: Attempt, amount: int, now: datetime, event_id: Any = None) -> Any:
    with open_unit_of_work():
        return services.request_due_refund(
            payment_id=paid.id,
            amount=Money(amount, "EUR"),
            cause=RefundCause.LATE_PAYMENT,
            due_event_id=event_id or new_id(),
            now=now,
        )


def test_what_an_order_cannot_keep_is_asked_for_once_for_each_event(paid: Attempt, now: datetime) -> None:
    event_id = new_id()

    first, again = due(paid, 700, now, event_id), due(paid, 700, now, event_id)

    assert first == again
    assert (first.status, first.cause, first.amount) == ("requested", "late_payment", Money(700, "EUR"))
    assert Refund.objects.get().due_event_id == event_id
    assert held_and_back(paid.id) == (700, 0)
    assert queries.due_refunds(now=now, limit=10) == [first.refund_id]


def test_where_less_is_left_than_is_due_what_is_left_goes_back(paid: Attempt, now: datetime) -> None:
    given_back(paid.id, now, 400)

    rest = due(paid, 1_000, now)
    nothing = due(paid, 1_000, now)

    assert rest.amount == Money(600, "EUR")
    assert nothing is None
    assert held_and_back(paid.id) == (1_000, 400)


def test_what_is_due_commits_with_the_caller_or_not_at_all(paid: Attempt, now: datetime) -> None:
    with pytest.raises(TransactionMisuse):
        services.request_due_refund(
            payment_id=paid.id,
            amount=Money(1, "EUR"),
            cause=RefundCause.SURPLUS,
            due_event_id=new_id(),
            now=now,
        )

    assert not Refund.objects.exists()


# --- the house's rules ---


def test_no_gateway_is_asked_inside_a_unit_of_work(paid: Attempt, gateway: FakeGateway, now: datetime) -> None:
    refund_id = asked(paid.id, now, 700)

    for ask in (
        lambda: services.settle_refund(refund_id=refund_id, source=Source.POLL, now=now),
        lambda: services.poll_refund(refund_id=refund_id, now=now),
        lambda: services.adopt_refunds_of(attempt_id=paid.id, source=Source.POLL, now=now),
    ):
        with open_unit_of_work(), pytest.raises(TransactionMisuse):
            ask()

    assert "create_refund" not in gateway.calls


def test_a_refund_nobody_knows_is_not_settled(now: datetime) -> None:
    with pytest.raises(RefundNotFound):
        settle(new_id(), now)

    assert services.poll_refund(refund_id=new_id(), now=now) is None
    assert queries.refund(refund_id=new_id()) is None


def test_a_refunds_history_cannot_be_rewritten(paid: Attempt, now: datetime) -> None:
    asked(paid.id, now, 700)

    with pytest.raises(IntegrityError, match="append-only"):
        RefundMove.objects.update(why="never")


@pytest.mark.django_db(transaction=True)
def test_what_a_refund_asks_of_the_database(paid: Attempt, now: datetime, statements: Counting) -> None:
    with statements() as asking:
        refund_id = asked(paid.id, now, 700)
    with statements() as settling:
        settle(refund_id, now)

    assert len(asking) == 2
    # Read; lock, write, post, tell.
    assert len(settling) == 5
