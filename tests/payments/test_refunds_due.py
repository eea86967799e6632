"""Money an order cannot keep goes back exactly once, however often the news is heard."""

from datetime import UTC, datetime, timedelta

import pytest
from pytest_django import DjangoCaptureOnCommitCallbacks

from orders import services as orders
from orders.dto import OrderView
from orders.events import OrderRefundDue
from payments import handlers, queries, services, tasks
from payments.errors import PaymentNotFound
from payments.models import Attempt, Refund
from payments.states import Source
from shop.kernel.auth.dto import Caller
from shop.kernel.ids import new_id
from shop.kernel.money import Money
from shop.kernel.transactions import open_unit_of_work
from tests.orders.factories import again
from tests.payments.factories import started, told
from tests.payments.fakes import FakeGateway
from tests.payments.ledger import assert_adds_up
from tests.payments.refunds import asked, everybody_hears_everything, given_back, held_and_back

pytestmark = pytest.mark.django_db

TOTAL = 1_000


@pytest.fixture
def now() -> datetime:
    """The present: handlers and tasks read the clock themselves, as edges do."""
    return datetime.now(UTC)


def refund_due(paid: Attempt, reason: str, now: datetime, amount: int = TOTAL) -> OrderRefundDue:
    return OrderRefundDue(
        occurred_at=now,
        order_id=paid.payable_id,
        number="1",
        user_id=paid.user_id,
        guest=False,
        payment_id=paid.id,
        amount=Money(amount, "EUR"),
        reason=reason,
    )


@pytest.mark.parametrize("reason", ["late_payment", "double_payment", "surplus", "underpaid", "cancelled"])
def test_every_reason_of_an_order_gives_the_money_back(
    reason: str,
    paid: Attempt,
    now: datetime,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    woken: list[tuple[str, dict[str, str]]] = []
    monkeypatch.setattr(
        "shop.kernel.tasks.current_app.send_task", lambda task, kwargs, **_: woken.append((task, kwargs))
    )
    event, event_id = refund_due(paid, reason, now), new_id()

    with django_capture_on_commit_callbacks(execute=True), open_unit_of_work():
        handlers.order_refund_due(event=event, event_id=event_id)
        handlers.order_refund_due(event=event, event_id=event_id)
        assert woken == []

    refund = Refund.objects.get()
    assert (refund.cause, refund.amount, refund.due_event_id) == (reason, TOTAL, event_id)
    assert woken == [("payments.tasks.settle_refund", {"refund_id": str(refund.id)})]


def test_a_refund_due_of_a_payment_nobody_knows_is_not_lost_in_silence(paid: Attempt, now: datetime) -> None:
    paid.id = new_id()

    with pytest.raises(PaymentNotFound), open_unit_of_work():
        handlers.order_refund_due(event=refund_due(paid, "surplus", now), event_id=new_id())


def test_cancelling_a_paid_order_gives_the_money_back_once(
    paid: Attempt, ten_euros: OrderView, gateway: FakeGateway, staff: Caller, now: datetime
) -> None:
    everybody_hears_everything(now)
    orders.cancel(caller=staff, order_id=ten_euros.order_id, reason="", now=now)

    everybody_hears_everything(now)
    tasks.settle_refunds()
    everybody_hears_everything(now)
    tasks.settle_refunds()

    assert list(Refund.objects.values_list("amount", "status", "cause")) == [(TOTAL, "succeeded", "cancelled")]
    assert len(gateway.refunds) == 1
    assert told(ten_euros) == ["payment.success", "refund.succeeded"]
    assert (again(ten_euros).status, again(ten_euros).payment_status) == ("cancelled", "refunded")
    assert_adds_up()


def test_of_a_payment_that_went_back_in_part_the_rest_goes_back(
    paid: Attempt, ten_euros: OrderView, staff: Caller, now: datetime
) -> None:
    everybody_hears_everything(now)
    given_back(paid.id, now, 400)
    orders.cancel(caller=staff, order_id=ten_euros.order_id, reason="", now=now)

    everybody_hears_everything(now)
    tasks.settle_refunds()

    assert sorted(Refund.objects.values_list("amount", "cause")) == [(400, "requested"), (600, "cancelled")]
    assert held_and_back(paid.id) == (TOTAL, TOTAL)


def test_money_that_comes_after_the_shopper_cancelled_goes_back(
    shopper: Caller, ten_euros: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    payment = started(shopper, ten_euros, now).payment
    orders.cancel(caller=shopper, order_id=ten_euros.order_id, reason="", now=now)
    gateway.pay(gateway.only_session())
    services.settle(attempt_id=payment.payment_id, source=Source.CALLBACK, now=now)

    everybody_hears_everything(now)
    tasks.settle_refunds()
    everybody_hears_everything(now)

    assert list(Refund.objects.values_list("amount", "status", "cause")) == [(TOTAL, "succeeded", "late_payment")]
    assert (again(ten_euros).status, again(ten_euros).payment_status) == ("cancelled", "refunded")
    assert_adds_up()


def test_of_two_payments_that_both_succeed_one_goes_back_and_one_order_is_paid(
    shopper: Caller, ten_euros: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    first = started(shopper, ten_euros, now).payment
    first_session = gateway.only_session()
    services.cancel_attempt(caller=shopper, payment_id=first.payment_id, now=now)
    second = started(shopper, ten_euros, now).payment
    for session_id in list(gateway.sessions):
        gateway.pay(session_id)
    for payment in (first, second):
        Attempt.objects.filter(id=payment.payment_id).update(next_poll_at=now)
        services.poll(attempt_id=payment.payment_id, now=now)

    everybody_hears_everything(now)
    tasks.settle_refunds()
    everybody_hears_everything(now)

    assert told(ten_euros).count("payment.success") == 2
    assert list(Refund.objects.values_list("amount", "status", "cause")) == [(TOTAL, "succeeded", "double_payment")]
    assert (again(ten_euros).status, again(ten_euros).payment_status) == ("paid", "paid")
    assert first_session in gateway.sessions
    assert_adds_up()


def test_the_clock_sends_what_nobody_was_woken_for_and_one_failure_stops_nobody(
    paid: Attempt, gateway: FakeGateway, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = asked(paid.id, now, 100), asked(paid.id, now, 200)
    Refund.objects.update(next_try_at=now - timedelta(seconds=1))
    poll = services.poll_refund

    def poll_but_the_first(*, refund_id: object, now: datetime) -> object:
        if refund_id == first:
            raise ValueError("a defect")
        return poll(refund_id=second, now=now)

    monkeypatch.setattr(services, "poll_refund", poll_but_the_first)

    tasks.settle_refunds()

    assert sorted(Refund.objects.values_list("id", "status")) == [(first, "requested"), (second, "succeeded")]


def test_a_woken_task_sends_its_refund_and_leaves_it_to_the_clock_when_nobody_answers(
    paid: Attempt, gateway: FakeGateway, now: datetime
) -> None:
    refund_id = asked(paid.id, now, 100)
    Refund.objects.update(next_try_at=now - timedelta(seconds=1))
    gateway.fall_silent("create_refund")

    tasks.settle_refund(refund_id=str(refund_id), word_of_a_newer_version=1)

    refund = Refund.objects.get()
    assert refund.status == "unknown"
    assert refund.next_try_at is not None
    assert refund.next_try_at > now
    assert queries.due_refunds(now=now, limit=10) == []
