"""Refunds that do not go back as asked: rejected, come back, denied, or about other money than ours."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from orders.dto import OrderView
from payments import services
from payments.dto import Outcome, RefundState
from payments.models import Attempt, Refund
from payments.ports import GatewayRefused, GatewayUnavailable
from payments.states import RefundStatus, Source
from shop.kernel.money import Money
from shop.kernel.outbox.models import LoggedEvent
from tests.payments.factories import told
from tests.payments.fakes import FakeGateway
from tests.payments.ledger import assert_adds_up, entries
from tests.payments.refunds import asked, given_back, held_and_back, refund_history, refund_in, settle

pytestmark = pytest.mark.django_db

S = RefundStatus
LATER = timedelta(minutes=2)


def test_a_rejected_refund_lets_the_money_go(
    paid: Attempt, ten_euros: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    refund = refund_in(S.REJECTED, paid=paid, gateway=gateway, now=now)

    released = held_and_back(paid.id)
    again = given_back(paid.id, now, 1_000)

    assert (refund.status, refund.failure_code, refund.next_try_at) == ("rejected", "bank_refused", None)
    assert released == (0, 0)
    assert Refund.objects.get(id=again).status == "succeeded"
    assert told(ten_euros) == ["payment.success", "refund.rejected", "refund.succeeded"]
    event = LoggedEvent.objects.get(topic="refund.rejected")
    assert (event.payload["code"], event.payload["amount"]["amount"]) == ("bank_refused", 700)
    assert_adds_up()


def test_a_refund_the_gateway_will_not_make_is_rejected(
    paid: Attempt, ten_euros: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    gateway.refund_refusal = "charge_disputed"

    refund_id = given_back(paid.id, now, 700)

    refund = Refund.objects.get()
    assert (refund.status, refund.failure_code, refund.gateway_refund_id) == ("rejected", "charge_disputed", "")
    assert refund_history(refund_id) == ["requested", "submitted", "rejected"]
    assert held_and_back(paid.id) == (0, 0)
    assert told(ten_euros) == ["payment.success", "refund.rejected"]


def test_a_refund_that_ended_is_not_asked_about(paid: Attempt, gateway: FakeGateway, now: datetime) -> None:
    refund = refund_in(S.REJECTED, paid=paid, gateway=gateway, now=now)
    gateway.calls.clear()

    settlement = services.settle_refund(refund_id=refund.id, source=Source.STAFF, now=now)

    assert settlement.outcome is Outcome.UNCHANGED
    assert gateway.calls == []


@pytest.mark.parametrize("word", [RefundState.REVERSED, RefundState.REJECTED])
def test_a_refund_that_came_back_is_reversed(
    word: RefundState, paid: Attempt, ten_euros: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    refund_id = given_back(paid.id, now, 700)
    gateway.refund_becomes(gateway.only_refund(), word, "account_closed")

    status = settle(refund_id, now + timedelta(days=7))

    assert status == "reversed"
    assert held_and_back(paid.id) == (0, 0)
    assert told(ten_euros) == ["payment.success", "refund.succeeded", "refund.reversed"]
    event = LoggedEvent.objects.get(topic="refund.reversed")
    assert (event.payload["code"], event.payload["amount"]["amount"]) == ("account_closed", 700)
    assert entries()[1:] == [
        ("refund", "customer_liability", "gateway_receivable", 700, "EUR"),
        ("reversal", "gateway_receivable", "customer_liability", 700, "EUR"),
    ]
    assert_adds_up()


def test_one_that_succeeded_and_came_back_unseen_tells_both(
    paid: Attempt, ten_euros: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    refund = refund_in(S.SUBMITTED, paid=paid, gateway=gateway, now=now)
    gateway.refund_becomes(refund.gateway_refund_id, RefundState.REVERSED)

    settle(refund.id, now + timedelta(days=7))

    assert refund_history(refund.id) == ["requested", "submitted", "succeeded", "reversed"]
    assert held_and_back(paid.id) == (0, 0)
    assert told(ten_euros) == ["payment.success", "refund.succeeded", "refund.reversed"]
    assert [entry[0] for entry in entries()] == ["capture", "refund", "reversal"]
    assert_adds_up()


def test_a_gateway_that_denies_a_refund_it_gave_us_changes_nothing(
    paid: Attempt, gateway: FakeGateway, now: datetime
) -> None:
    refund = refund_in(S.SUBMITTED, paid=paid, gateway=gateway, now=now)
    gateway.refunds.clear()

    with pytest.raises(GatewayRefused):
        settle(refund.id, now)

    assert Refund.objects.get().status == "submitted"
    assert held_and_back(paid.id) == (700, 0)


def test_a_gateway_that_lists_nothing_is_not_asked_to_give_money_back(
    paid: Attempt, gateway: FakeGateway, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    refund = refund_in(S.UNKNOWN, paid=paid, gateway=gateway, now=now)

    def deny(**_: object) -> None:
        raise GatewayRefused("not_allowed", "No.")

    monkeypatch.setattr(gateway, "list_refunds", deny)

    with pytest.raises(GatewayUnavailable):
        settle(refund.id, now + LATER)

    assert Refund.objects.get().status == "unknown"
    assert gateway.refunds == {}


@pytest.mark.parametrize(
    "lie",
    [
        {"amount": Money(699, "EUR")},
        {"amount": Money(700, "USD")},
        {"reference": "somebody-elses"},
        {"live": True},
        {"session_id": "sess_other"},
    ],
)
def test_a_word_about_other_money_moves_nothing_and_waits_for_a_person(
    lie: dict[str, Any], paid: Attempt, ten_euros: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    refund_id = asked(paid.id, now, 700)
    gateway.refund_lies = lie

    settlement = services.settle_refund(refund_id=refund_id, source=Source.STAFF, now=now)

    refund = Refund.objects.get()
    assert (settlement.outcome, refund.status) == (Outcome.QUARANTINED, "requested")
    assert refund.needs_review
    assert refund.next_try_at is None
    assert held_and_back(paid.id) == (700, 0)
    assert told(ten_euros) == ["payment.success"]
    assert refund_history(refund_id) == ["requested", "requested"]


def test_what_waits_for_a_person_is_not_asked_about_until_the_person_says_so(
    paid: Attempt, gateway: FakeGateway, now: datetime
) -> None:
    refund_id = asked(paid.id, now, 700)
    gateway.refund_lies = {"amount": Money(1, "EUR")}
    settle(refund_id, now)
    gateway.refund_lies = {}
    gateway.calls.clear()

    by_clock = services.settle_refund(refund_id=refund_id, source=Source.POLL, now=now)
    asked_by_clock = list(gateway.calls)
    by_person = services.settle_refund(refund_id=refund_id, source=Source.STAFF, now=now)

    assert (by_clock.outcome, asked_by_clock) == (Outcome.QUARANTINED, [])
    assert by_person.status == "succeeded"
    assert not Refund.objects.get().needs_review


def test_a_person_clears_what_was_said_by_mistake_though_nothing_moves(
    paid: Attempt, gateway: FakeGateway, now: datetime
) -> None:
    refund = refund_in(S.SUBMITTED, paid=paid, gateway=gateway, now=now)
    gateway.refund_lies = {"amount": Money(1, "EUR")}
    settle(refund.id, now)
    gateway.refund_lies = {}

    settlement = services.settle_refund(refund_id=refund.id, source=Source.STAFF, now=now)

    cleared = Refund.objects.get()
    assert (settlement.status, cleared.review_reason) == ("submitted", "")
    assert cleared.next_try_at is not None
