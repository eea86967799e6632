"""What waits for a person is ended by one, and then nothing is held up by it any more."""

from datetime import datetime, timedelta

import pytest

from orders.dto import OrderView
from payments import services
from payments.dto import Expiration, Outcome, RefundState, SessionState
from payments.errors import NotInReview, PaymentNotFound, RefundAtGateway, RefundInReview, RefundNotFound
from payments.models import Attempt, Refund
from payments.ports import GatewayUnavailable
from payments.states import AttemptStatus, RefundCause, RefundStatus, Source
from shop.kernel.auth.dto import Caller
from shop.kernel.ids import new_id
from shop.kernel.money import Money
from shop.kernel.transactions import open_unit_of_work
from tests.orders.factories import again
from tests.payments.factories import attempt_in, history, last_failure, started, status_of, told
from tests.payments.fakes import FakeGateway
from tests.payments.refunds import asked, held_and_back, refund_history, refund_in

pytestmark = pytest.mark.django_db

S, R = AttemptStatus, RefundStatus


@pytest.fixture
def short(shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime) -> Attempt:
    """A payment for which the gateway has taken a cent too little."""
    payment_id = started(shopper, order, now).payment.payment_id
    gateway.pay(gateway.only_session())
    gateway.lies = {"captured": Money(2_869, "EUR")}
    services.settle(attempt_id=payment_id, source=Source.CALLBACK, now=now)
    return Attempt.objects.get(id=payment_id)


def test_a_payment_that_is_given_up_has_failed_and_the_order_may_be_paid_anew(
    short: Attempt, shopper: Caller, order: OrderView, now: datetime
) -> None:
    settlement = services.give_up_payment(payment_id=short.id, now=now)

    attempt = Attempt.objects.get(id=short.id)
    assert (settlement.outcome, settlement.status) == (Outcome.MOVED, "failed")
    assert (attempt.review_reason, attempt.next_poll_at, attempt.captured) == ("", None, 0)
    assert history(short.id)[-1] == ("pending", "failed")
    assert last_failure(order) == ("declined", "given_up")
    assert started(shopper, order, now).created


def test_an_order_whose_payment_was_given_up_expires(short: Attempt, order: OrderView, now: datetime) -> None:
    late = order.payment_deadline + timedelta(minutes=1)
    assert services.expire_order(order_id=order.order_id, now=late) is Expiration.HELD

    services.give_up_payment(payment_id=short.id, now=late)

    later = late + timedelta(hours=1)
    assert services.expire_order(order_id=order.order_id, now=later) is Expiration.EXPIRED
    assert again(order).status == "expired"


def test_a_payment_the_gateway_denies_is_given_up_and_looked_at_again_later(
    shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    pending = attempt_in(S.PENDING, caller=shopper, order=order, gateway=gateway, now=now)
    gateway.deny("fetch_session", "resource_missing")

    services.give_up_payment(payment_id=pending.id, now=now)

    attempt = Attempt.objects.get(id=pending.id)
    assert (attempt.status, attempt.failure_code) == ("failed", "resource_missing")
    assert attempt.next_poll_at is not None


def test_a_gateway_whose_word_is_fine_after_all_is_believed(
    short: Attempt, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    gateway.lies = {}

    with pytest.raises(NotInReview):
        services.give_up_payment(payment_id=short.id, now=now)

    assert status_of(short.id) == "succeeded"
    assert told(order) == ["payment.success"]


def test_a_gateway_that_is_silent_gives_nothing_up(short: Attempt, gateway: FakeGateway, now: datetime) -> None:
    gateway.fall_silent("fetch_session")

    with pytest.raises(GatewayUnavailable):
        services.give_up_payment(payment_id=short.id, now=now)

    assert status_of(short.id) == "pending"


def test_money_that_is_right_after_all_still_pays(
    short: Attempt, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    services.give_up_payment(payment_id=short.id, now=now)
    gateway.lies = {}

    services.settle(attempt_id=short.id, source=Source.CALLBACK, now=now)

    assert status_of(short.id) == "succeeded"
    assert told(order) == ["payment.failed", "payment.success"]


def test_a_payment_that_had_ended_only_leaves_the_review(short: Attempt, gateway: FakeGateway, now: datetime) -> None:
    services.give_up_payment(payment_id=short.id, now=now)
    Attempt.objects.update(failure_code="card_declined")
    services.settle(attempt_id=short.id, source=Source.CALLBACK, now=now)
    assert Attempt.objects.get(id=short.id).needs_review

    settlement = services.give_up_payment(payment_id=short.id, now=now)

    attempt = Attempt.objects.get(id=short.id)
    assert (settlement.outcome, settlement.status) == (Outcome.UNCHANGED, "failed")
    assert (attempt.needs_review, attempt.failure_code) == (False, "card_declined")


def test_nothing_else_is_given_up(paid: Attempt, gateway: FakeGateway, now: datetime) -> None:
    refund = refund_in(R.REQUESTED, paid=paid, gateway=gateway, now=now)

    with pytest.raises(NotInReview):
        services.give_up_payment(payment_id=paid.id, now=now + timedelta(days=1))
    with pytest.raises(NotInReview):
        services.give_up_refund(refund_id=refund.id, now=now)
    with pytest.raises(PaymentNotFound):
        services.give_up_payment(payment_id=new_id(), now=now)
    with pytest.raises(RefundNotFound):
        services.give_up_refund(refund_id=new_id(), now=now)

    assert status_of(paid.id) == "succeeded"
    assert held_and_back(paid.id) == (700, 0)


@pytest.mark.parametrize("status", [R.REQUESTED, R.UNKNOWN])
def test_a_refund_the_gateway_does_not_have_is_given_up_and_its_amount_is_free(
    status: RefundStatus, paid: Attempt, gateway: FakeGateway, now: datetime
) -> None:
    refund = refund_in(status, paid=paid, gateway=gateway, now=now)
    Refund.objects.update(review_reason="unanswered", next_try_at=None)

    settlement = services.give_up_refund(refund_id=refund.id, now=now)

    given_up = Refund.objects.get()
    assert (settlement.outcome, settlement.status) == (Outcome.MOVED, "rejected")
    assert (given_up.review_reason, given_up.failure_code) == ("", "given_up")
    assert refund_history(refund.id)[-1] == "rejected"
    assert held_and_back(paid.id) == (0, 0)
    assert services.give_back_again(refund_id=refund.id, now=now).status == "succeeded"
    assert held_and_back(paid.id) == (700, 700)


def test_a_refund_whose_answer_was_lost_is_not_given_up_and_goes_back_once(
    paid: Attempt, gateway: FakeGateway, now: datetime
) -> None:
    refund_id = asked(paid.id, now, 700)
    gateway.fall_silent("create_refund", after_doing=True)
    with pytest.raises(GatewayUnavailable):
        services.settle_refund(refund_id=refund_id, source=Source.STAFF, now=now)
    Refund.objects.update(review_reason="unanswered", next_try_at=None)

    with pytest.raises(RefundAtGateway):
        services.give_up_refund(refund_id=refund_id, now=now)

    assert Refund.objects.get().status == "unknown"
    assert held_and_back(paid.id) == (700, 0)
    assert len(gateway.refunds) == 1


def test_what_went_back_after_it_was_rejected_is_not_given_back_once_more(
    paid: Attempt, gateway: FakeGateway, now: datetime
) -> None:
    refund = refund_in(R.REJECTED, paid=paid, gateway=gateway, now=now)
    gateway.refund_becomes(gateway.only_refund(), RefundState.SUCCEEDED, "")

    with pytest.raises(RefundInReview):
        services.give_back_again(refund_id=refund.id, now=now)

    assert Refund.objects.get().needs_review
    assert len(gateway.refunds) == 1


def test_a_refund_that_had_ended_only_leaves_the_review(paid: Attempt, gateway: FakeGateway, now: datetime) -> None:
    refund = refund_in(R.SUCCEEDED, paid=paid, gateway=gateway, now=now)
    Refund.objects.update(review_reason="amount 699 instead of 700")

    settlement = services.give_up_refund(refund_id=refund.id, now=now)

    assert (settlement.outcome, settlement.status) == (Outcome.UNCHANGED, "succeeded")
    assert not Refund.objects.get().needs_review
    assert held_and_back(paid.id) == (700, 700)


def test_giving_up_closes_the_page_so_that_nobody_pays_on_it(
    shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    pending = attempt_in(S.PENDING, caller=shopper, order=order, gateway=gateway, now=now)
    gateway.lies = {"amount": Money(1, "EUR")}
    services.settle(attempt_id=pending.id, source=Source.CALLBACK, now=now)

    services.give_up_payment(payment_id=pending.id, now=now)

    assert gateway.sessions[pending.session_id].state is SessionState.CLOSED
    assert status_of(pending.id) == "failed"


def test_one_of_its_amount_that_nobody_knows_may_be_the_refund(
    paid: Attempt, gateway: FakeGateway, now: datetime
) -> None:
    refund = refund_in(R.REQUESTED, paid=paid, gateway=gateway, now=now)
    Refund.objects.update(review_reason="reference x instead of y", next_try_at=None)
    gateway.refund_in_dashboard(700)

    with pytest.raises(RefundAtGateway):
        services.give_up_refund(refund_id=refund.id, now=now)

    assert held_and_back(paid.id) == (700, 0)


def test_while_the_gateway_is_silent_nothing_is_given_back_once_more(
    paid: Attempt, gateway: FakeGateway, now: datetime
) -> None:
    refund = refund_in(R.REJECTED, paid=paid, gateway=gateway, now=now)
    gateway.fall_silent("list_refunds")

    with pytest.raises(GatewayUnavailable):
        services.give_back_again(refund_id=refund.id, now=now)

    assert Refund.objects.count() == 1
    assert held_and_back(paid.id) == (0, 0)


def test_what_staff_give_back_once_more_is_not_mistaken_for_what_the_gateway_gave(
    paid: Attempt, gateway: FakeGateway, now: datetime
) -> None:
    gateway.refund_refusal = "no_balance"
    with open_unit_of_work():
        due = services.request_due_refund(
            payment_id=paid.id, amount=Money(700, "EUR"), cause=RefundCause.SURPLUS, due_event_id=new_id(), now=now
        )
    assert due is not None
    services.settle_refund(refund_id=due.refund_id, source=Source.POLL, now=now)
    assert Refund.objects.get().next_try_at is not None
    gateway.refund_refusal = None

    services.give_back_again(refund_id=due.refund_id, now=now)
    services.poll_refund(refund_id=due.refund_id, now=now + timedelta(days=1))

    assert held_and_back(paid.id) == (700, 700)
    assert Refund.objects.count() == 2
