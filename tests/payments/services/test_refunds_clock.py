"""What time does to refunds: they are sent again, asked about, looked at later, given to a person."""

from datetime import datetime, timedelta

import pytest
from pytest_django import Settings

from orders.dto import OrderView
from payments import queries, services
from payments.models import Attempt, Refund
from payments.ports import GatewayUnavailable
from payments.states import RefundStatus, Source
from tests.payments.factories import told
from tests.payments.fakes import FakeGateway, Silence
from tests.payments.refunds import asked, given_back, held_and_back, refund_history, refund_in, settle

pytestmark = pytest.mark.django_db

S = RefundStatus
LATER = timedelta(minutes=2)


def test_a_refund_nobody_answers_for_comes_to_a_person_and_is_never_rejected(
    paid: Attempt, ten_euros: OrderView, gateway: FakeGateway, now: datetime, settings: Settings
) -> None:
    refund = refund_in(S.UNKNOWN, paid=paid, gateway=gateway, now=now)
    gateway.fall_silent("list_refunds", times=100)

    at, turns = now, 0
    while (due := Refund.objects.get().next_try_at) is not None:
        at, turns = due, turns + 1
        with pytest.raises(GatewayUnavailable):
            services.poll_refund(refund_id=refund.id, now=at)

    left = Refund.objects.get()
    assert turns == len(settings.PAYMENT_REFUND_UNKNOWN_DELAYS_SECONDS)
    assert (left.status, left.review_reason) == ("unknown", "unanswered")
    assert held_and_back(paid.id) == (700, 0)
    assert told(ten_euros) == ["payment.success"]


def test_what_a_person_was_given_unanswered_still_hears_the_gateways_word(
    paid: Attempt, gateway: FakeGateway, now: datetime
) -> None:
    refund = refund_in(S.UNKNOWN, paid=paid, gateway=gateway, now=now)
    Refund.objects.update(review_reason="unanswered", next_try_at=None)

    status = settle(refund.id, now + LATER, Source.CALLBACK)

    assert status == "succeeded"
    assert not Refund.objects.get().needs_review


def test_a_crash_in_the_gateways_own_words_does_not_repeat_for_ever(
    paid: Attempt, gateway: FakeGateway, now: datetime, settings: Settings
) -> None:
    refund_id = asked(paid.id, now, 700)
    gateway.silences["list_refunds"] = Silence(100, after_doing=False, error=TypeError("a defect"))
    gateway.silences["create_refund"] = gateway.silences["list_refunds"]

    at, turns = now, 0
    while (due := Refund.objects.get().next_try_at) is not None:
        at, turns = due, turns + 1
        with pytest.raises(TypeError):
            services.poll_refund(refund_id=refund_id, now=at)

    assert turns == len(settings.PAYMENT_REFUND_UNKNOWN_DELAYS_SECONDS) + 1
    assert (Refund.objects.get().status, Refund.objects.get().review_reason) == ("requested", "unanswered")


def test_a_turn_is_taken_once(paid: Attempt, gateway: FakeGateway, now: datetime) -> None:
    refund = refund_in(S.SUBMITTED, paid=paid, gateway=gateway, now=now)
    due = Refund.objects.get().next_try_at
    assert due is not None

    early = services.poll_refund(refund_id=refund.id, now=due - timedelta(seconds=1))
    first = services.poll_refund(refund_id=refund.id, now=due)
    second = services.poll_refund(refund_id=refund.id, now=due)

    assert (early, second) == (None, None)
    assert first is not None
    assert queries.due_refunds(now=due, limit=10) == []
    assert gateway.calls.count("fetch_refund") == 1


def test_polls_of_a_refund_under_way_grow_rarer_and_never_end(
    paid: Attempt, gateway: FakeGateway, now: datetime, settings: Settings
) -> None:
    settings.PAYMENT_REFUND_POLL_DELAYS_SECONDS = [60, 300]
    refund = refund_in(S.SUBMITTED, paid=paid, gateway=gateway, now=now)

    at, waits = now, []
    for _ in range(4):
        due = Refund.objects.get().next_try_at
        assert due is not None
        waits.append((due - at).total_seconds())
        at = due
        services.poll_refund(refund_id=refund.id, now=at)

    assert waits == [60, 300, 300, 300]


def test_what_was_done_is_looked_at_three_times_later(
    paid: Attempt, gateway: FakeGateway, now: datetime, settings: Settings
) -> None:
    settings.PAYMENT_REFUND_LATE_LOOK_DELAYS_SECONDS = [3_600, 86_400, 604_800]
    refund_id = given_back(paid.id, now, 700)

    at, waits = now, []
    while (due := Refund.objects.get().next_try_at) is not None:
        waits.append((due - at).total_seconds())
        at = due
        services.poll_refund(refund_id=refund_id, now=at)

    assert waits == [3_600, 86_400, 604_800]
    assert gateway.calls.count("fetch_refund") == 3


def test_a_gateway_that_is_left_alone_costs_no_try(
    paid: Attempt, gateway: FakeGateway, now: datetime, settings: Settings
) -> None:
    settings.GATEWAY_CIRCUIT_SILENCES = 1
    refund = refund_in(S.UNKNOWN, paid=paid, gateway=gateway, now=now)
    before = Refund.objects.get()
    gateway.calls.clear()

    with pytest.raises(GatewayUnavailable):
        services.poll_refund(refund_id=refund.id, now=now + LATER)

    after = Refund.objects.get()
    assert gateway.calls == []
    assert (after.status, after.tries) == ("unknown", before.tries)
    assert after.next_try_at is not None
    assert now + LATER < after.next_try_at < now + LATER + timedelta(minutes=1)


def test_a_refund_that_was_not_even_sent_stays_requested(
    paid: Attempt, gateway: FakeGateway, now: datetime, settings: Settings
) -> None:
    settings.GATEWAY_CIRCUIT_SILENCES = 1
    refund_in(S.UNKNOWN, paid=paid, gateway=gateway, now=now, amount=100)
    second = asked(paid.id, now, 700)

    with pytest.raises(GatewayUnavailable):
        settle(second, now)

    assert Refund.objects.get(id=second).status == "requested"
    assert refund_history(second) == ["requested"]
