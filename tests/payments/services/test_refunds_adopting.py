"""The gateway's list of a payment's refunds: ours recognised, those of its dashboard written down, each once."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from orders.dto import OrderView
from payments import services
from payments.dto import Outcome, RefundsAdopted, RefundState
from payments.errors import PaymentNotFound
from payments.models import Attempt, Refund
from payments.ports import GatewayUnavailable
from payments.states import AttemptStatus, RefundStatus, Source
from shop.kernel.auth.dto import Caller
from shop.kernel.ids import new_id
from shop.kernel.money import Money
from shop.kernel.outbox.models import LoggedEvent
from tests.payments.factories import attempt_in, told
from tests.payments.fakes import FakeGateway
from tests.payments.ledger import assert_adds_up, entries
from tests.payments.refunds import asked, given_back, held_and_back, refund_history, refund_in

pytestmark = pytest.mark.django_db

S = RefundStatus


def adopt(paid: Attempt, now: datetime, source: Source = Source.CALLBACK) -> RefundsAdopted:
    return services.adopt_refunds_of(attempt_id=paid.id, source=source, now=now)


def test_a_refund_made_in_the_dashboard_is_imported_once(
    paid: Attempt, ten_euros: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    made_there = gateway.refund_in_dashboard(300)

    first, again = adopt(paid, now), adopt(paid, now)

    refund = Refund.objects.get()
    assert (refund.gateway_refund_id, refund.amount, refund.currency) == (made_there, 300, "EUR")
    assert (refund.cause, refund.status) == ("external", "succeeded")
    assert refund_history(refund.id) == ["submitted", "succeeded"]
    assert (first.imported, again.imported) == ((refund.id,), ())
    assert [one.outcome for one in again.settled] == [Outcome.UNCHANGED]
    assert held_and_back(paid.id) == (300, 300)
    assert told(ten_euros) == ["payment.success", "refund.succeeded"]
    assert LoggedEvent.objects.get(topic="refund.succeeded").payload["cause"] == "external"
    assert entries()[1:] == [("refund", "customer_liability", "gateway_receivable", 300, "EUR")]
    assert_adds_up()


def test_one_of_the_dashboard_is_followed_like_ours(
    paid: Attempt, ten_euros: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    made_there = gateway.refund_in_dashboard(300, RefundState.PENDING)

    adopt(paid, now)
    pending = Refund.objects.get()
    gateway.refund_becomes(made_there, RefundState.REJECTED, "account_closed")
    services.poll_refund(refund_id=pending.id, now=now + timedelta(days=1))

    assert (pending.status, pending.next_try_at is not None) == ("submitted", True)
    assert (Refund.objects.get().status, held_and_back(paid.id)) == ("rejected", (0, 0))
    assert told(ten_euros) == ["payment.success", "refund.rejected"]


def test_what_came_back_before_we_heard_of_it_is_in_the_books_both_ways(
    paid: Attempt, ten_euros: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    gateway.refund_becomes(gateway.refund_in_dashboard(300), RefundState.REVERSED)

    adopt(paid, now)

    assert Refund.objects.get().status == "reversed"
    assert held_and_back(paid.id) == (0, 0)
    assert told(ten_euros) == ["payment.success", "refund.succeeded", "refund.reversed"]
    assert_adds_up()


def test_what_was_rejected_there_moved_nothing_and_is_left_there(
    paid: Attempt, gateway: FakeGateway, now: datetime
) -> None:
    gateway.refund_in_dashboard(300, RefundState.REJECTED)

    assert adopt(paid, now) == RefundsAdopted()
    assert not Refund.objects.exists()


def test_ours_are_known_by_their_reference_while_their_id_there_is_not(
    paid: Attempt, ten_euros: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    refund_id = asked(paid.id, now, 700)
    gateway.fall_silent("create_refund", after_doing=True)
    with pytest.raises(GatewayUnavailable):
        services.settle_refund(refund_id=refund_id, source=Source.STAFF, now=now)

    adopted = adopt(paid, now)

    assert adopted.imported == ()
    assert Refund.objects.get().id == refund_id
    assert refund_history(refund_id) == ["requested", "submitted", "unknown", "succeeded"]
    assert told(ten_euros) == ["payment.success", "refund.succeeded"]


def test_one_that_was_adopted_while_our_own_call_was_under_way_is_one(
    paid: Attempt, ten_euros: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    refund_id = asked(paid.id, now, 700)
    told_by_callback: list[RefundsAdopted] = []

    class Slow(dict[str, str]):
        """Between doing it and answering, the gateway's callback is faster."""

        def __setitem__(self, key: str, value: str) -> None:
            super().__setitem__(key, value)
            told_by_callback.append(adopt(paid, now))

    gateway.refund_by_key = Slow()

    settlement = services.settle_refund(refund_id=refund_id, source=Source.STAFF, now=now)

    assert [one.imported for one in told_by_callback] == [()]
    assert (settlement.outcome, settlement.status) == (Outcome.UNCHANGED, "succeeded")
    assert Refund.objects.count() == 1
    assert told(ten_euros) == ["payment.success", "refund.succeeded"]


def test_a_reversal_is_heard_of_through_the_list(
    paid: Attempt, ten_euros: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    given_back(paid.id, now, 700)
    gateway.refund_becomes(gateway.only_refund(), RefundState.REVERSED, "account_closed")

    adopted = adopt(paid, now)

    assert [(one.outcome, one.status) for one in adopted.settled] == [(Outcome.MOVED, "reversed")]
    assert held_and_back(paid.id) == (0, 0)
    assert told(ten_euros)[-1] == "refund.reversed"


def test_what_does_not_fit_waits_until_ours_has_let_go(paid: Attempt, gateway: FakeGateway, now: datetime) -> None:
    made_there = gateway.refund_in_dashboard(700)
    ours = asked(paid.id, now, 700)

    too_early = adopt(paid, now)
    services.settle_refund(refund_id=ours, source=Source.POLL, now=now)
    in_time = adopt(paid, now)

    assert (too_early.unfit, too_early.imported) == ((made_there,), ())
    assert Refund.objects.get(id=ours).status == "rejected"
    assert Refund.objects.get(id=ours).failure_code == "refund_exceeds_captured"
    assert len(in_time.imported) == 1
    assert held_and_back(paid.id) == (700, 700)
    assert_adds_up()


def test_what_ours_lets_go_of_in_the_same_list_makes_room(paid: Attempt, gateway: FakeGateway, now: datetime) -> None:
    ours = refund_in(S.SUBMITTED, paid=paid, gateway=gateway, now=now)
    gateway.refund_becomes(ours.gateway_refund_id, RefundState.REJECTED)
    gateway.refund_in_dashboard(900)

    adopted = adopt(paid, now)

    assert (len(adopted.imported), adopted.unfit) == (1, ())
    assert held_and_back(paid.id) == (900, 900)


@pytest.mark.parametrize("lie", [{"amount": Money(300, "USD")}, {"live": True}, {"session_id": "sess_other"}])
def test_refunds_of_another_kind_of_money_are_not_imported(
    lie: dict[str, Any], paid: Attempt, ten_euros: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    made_there = gateway.refund_in_dashboard(300)
    gateway.refund_lies = lie

    adopted = adopt(paid, now)

    assert (adopted.strange, adopted.imported) == ((made_there,), ())
    assert not Refund.objects.exists()
    assert told(ten_euros) == ["payment.success"]


def test_one_we_know_that_differs_waits_for_a_person_and_the_others_go_on(
    paid: Attempt, gateway: FakeGateway, now: datetime
) -> None:
    ours = refund_in(S.SUBMITTED, paid=paid, gateway=gateway, now=now, amount=400)
    gateway.refund_in_dashboard(100)
    known = gateway.refunds[ours.gateway_refund_id]
    gateway.refunds[ours.gateway_refund_id] = replace(known, amount=Money(401, "EUR"))

    adopted = adopt(paid, now)

    assert [one.outcome for one in adopted.settled] == [Outcome.QUARANTINED, Outcome.MOVED]
    assert Refund.objects.get(id=ours.id).review_reason == "amount 401 instead of 400"
    assert held_and_back(paid.id) == (500, 100)


def test_a_refund_that_succeeded_there_after_it_was_rejected_here_waits_for_a_person(
    paid: Attempt, gateway: FakeGateway, now: datetime
) -> None:
    ours = refund_in(S.REJECTED, paid=paid, gateway=gateway, now=now)
    gateway.refund_becomes(ours.gateway_refund_id, RefundState.SUCCEEDED)

    adopted = adopt(paid, now)

    assert [one.outcome for one in adopted.settled] == [Outcome.QUARANTINED]
    assert Refund.objects.get().review_reason == "succeeded after it was rejected"
    assert held_and_back(paid.id) == (0, 0)


def test_a_payment_that_brought_nothing_is_not_asked_about(
    shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    unpaid = attempt_in(AttemptStatus.PENDING, caller=shopper, order=order, gateway=gateway, now=now)
    gateway.calls.clear()

    assert adopt(unpaid, now) == RefundsAdopted()
    assert gateway.calls == []


def test_a_payment_nobody_knows_has_no_refunds(now: datetime) -> None:
    with pytest.raises(PaymentNotFound):
        services.adopt_refunds_of(attempt_id=new_id(), source=Source.STAFF, now=now)
