"""Alarm clocks: what is due is found, one failure stops nobody, a lost wake-up loses nothing."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from pytest_django import DjangoCaptureOnCommitCallbacks

from orders.dto import OrderView
from orders.models import Order
from payments import queries, services, tasks
from payments.dto import Processing
from payments.models import Attempt, Callback, Payable
from payments.ports import GatewayUnavailable
from shop.kernel.auth.dto import Caller
from shop.kernel.ids import new_id
from tests.orders.factories import again, placed
from tests.payments.factories import SIGNED, callback_body, received, started, status_of, told
from tests.payments.fakes import FakeGateway

pytestmark = pytest.mark.django_db


@pytest.fixture
def now() -> datetime:
    """The present: tasks read the clock themselves."""
    return datetime.now(UTC)


def test_a_callback_whose_wake_up_was_lost_is_found_by_the_clock(
    shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    started(shopper, order, now)
    gateway.pay(gateway.only_session())
    received(gateway.only_session(), now)

    tasks.settle_callbacks()

    assert Callback.objects.get().state == "applied"
    assert told(order) == ["payment.success"]


def test_a_stored_callback_wakes_its_task_after_the_commit(
    now: datetime, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    woken: list[tuple[str, dict[str, str]]] = []
    monkeypatch.setattr(
        "shop.kernel.tasks.current_app.send_task", lambda task, kwargs, **_: woken.append((task, kwargs))
    )

    with django_capture_on_commit_callbacks(execute=True):
        services.receive_callback(gateway="fake", body=callback_body("sess_1"), headers=SIGNED, now=now)
        assert woken == []

    assert woken == [("payments.tasks.settle_callback", {"callback_id": str(Callback.objects.get().id)})]


def test_a_woken_task_processes_its_callback_and_bears_words_of_a_newer_version(
    shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    started(shopper, order, now)
    gateway.pay(gateway.only_session())

    tasks.settle_callback(callback_id=str(received(gateway.only_session(), now)), priority="high")

    assert told(order) == ["payment.success"]


def test_due_attempts_are_polled_and_others_are_not(shopper: Caller, gateway: FakeGateway, now: datetime) -> None:
    early, due = (placed(caller=shopper, now=now) for _ in range(2))
    for order in (early, due):
        started(shopper, order, now)
    for session_id in gateway.sessions:
        gateway.pay(session_id)
    Attempt.objects.filter(payable_id=due.order_id).update(next_poll_at=now)

    tasks.poll_attempts()

    assert told(due) == ["payment.success"]
    assert told(early) == []


def test_overdue_orders_expire(shopper: Caller, order: OrderView, now: datetime) -> None:
    payment = started(shopper, order, now).payment
    long_ago = now - timedelta(hours=1)
    Order.objects.update(payment_deadline=long_ago)
    Payable.objects.update(deadline=long_ago)
    Attempt.objects.update(expires_at=long_ago, moved_at=long_ago)

    tasks.expire_orders()

    assert again(order).status == "expired"
    assert status_of(payment.payment_id) == "expired"


def test_overdue_orders_that_are_held_back_do_not_keep_others_from_expiring(
    shopper: Caller, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "BATCH", 1)
    held, unpaid = (placed(caller=shopper, now=now) for _ in range(2))
    started(shopper, held, now)
    long_ago = now - timedelta(hours=1)
    Order.objects.update(payment_deadline=long_ago)
    Order.objects.filter(pk=held.order_id).update(payment_deadline=long_ago - timedelta(hours=1))
    Payable.objects.update(deadline=long_ago)
    Attempt.objects.update(expires_at=long_ago, review_reason="amount")

    tasks.expire_orders()

    assert again(held).status == "pending_payment"
    assert again(unpaid).status == "expired"


def test_one_row_that_fails_stops_no_other(
    shopper: Caller, gateway: FakeGateway, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders = [placed(caller=shopper, now=now) for _ in range(3)]
    for order in orders:
        started(shopper, order, now)
    for session_id in gateway.sessions:
        gateway.pay(session_id)
    broken, denied, sound = list(Attempt.objects.order_by("id"))
    Attempt.objects.update(next_poll_at=now)
    del gateway.sessions[denied.session_id]
    real_poll = services.poll

    def poll(*, attempt_id: UUID, now: datetime) -> object:
        if attempt_id == broken.id:
            raise ZeroDivisionError
        return real_poll(attempt_id=attempt_id, now=now)

    monkeypatch.setattr(services, "poll", poll)

    tasks.poll_attempts()

    assert [status_of(attempt.id) for attempt in (broken, denied, sound)] == ["pending", "pending", "succeeded"]


def test_a_gateway_that_is_down_is_not_asked_for_every_row(monkeypatch: pytest.MonkeyPatch, now: datetime) -> None:
    asked: list[UUID] = []

    def poll(*, attempt_id: UUID, now: datetime) -> object:
        asked.append(attempt_id)
        raise GatewayUnavailable("silence")

    monkeypatch.setattr(services, "poll", poll)
    monkeypatch.setattr("payments.queries.due_polls", lambda **_: [new_id() for _ in range(50)])

    tasks.poll_attempts()

    assert len(asked) == tasks.SILENCES


def test_callbacks_that_find_the_gateway_silent_count_as_silences(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[UUID] = []

    def process(*, callback_id: UUID, now: datetime) -> Processing:
        asked.append(callback_id)
        return Processing.POSTPONED if len(asked) != 3 else Processing.APPLIED

    monkeypatch.setattr(services, "process_callback", process)
    monkeypatch.setattr("payments.queries.due_callbacks", lambda **_: [new_id() for _ in range(50)])

    tasks.settle_callbacks()

    assert len(asked) == 3 + tasks.SILENCES


def test_what_is_stuck_is_counted_for_the_alerts(now: datetime) -> None:
    received("sess_1", now, event_id="one")
    received("sess_2", now, event_id="two")
    Callback.objects.filter(event_id="two").update(state="dead", next_attempt_at=None)

    tasks.settle_callbacks()

    none_of_these = dict.fromkeys(("review", "unknown", "refund_review", "quarantined"), 0)
    assert queries.stuck() == {**none_of_these, "parked": 1, "dead": 1}


def test_two_hours_without_the_gateway_fail_nothing_and_everything_goes_on_afterwards(
    shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    payment = started(shopper, order, now).payment
    long_ago = now - timedelta(hours=2)
    Order.objects.update(payment_deadline=long_ago)
    Payable.objects.update(deadline=long_ago)
    Attempt.objects.update(expires_at=long_ago, moved_at=long_ago, next_poll_at=long_ago)
    gateway.fall_silent("fetch_session", times=2)

    tasks.poll_attempts()
    tasks.expire_orders()
    while_down = (status_of(payment.payment_id), again(order).status, told(order))
    gateway.pay(gateway.only_session())
    Payable.objects.update(next_expiry_at=now)
    tasks.expire_orders()

    assert while_down == ("pending", "pending_payment", [])
    assert status_of(payment.payment_id) == "succeeded"
    assert told(order) == ["payment.success"]


def test_a_slow_gateway_does_not_keep_the_worker_for_longer_than_a_run(
    shopper: Caller, gateway: FakeGateway, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        started(shopper, placed(caller=shopper, now=now), now)
    Attempt.objects.update(next_poll_at=now)
    gateway.calls.clear()
    instants = iter([0.0, 1.0, 26.0])
    monkeypatch.setattr(tasks, "monotonic", lambda: next(instants))

    tasks.poll_attempts()

    assert gateway.calls == ["fetch_session"]
    assert Attempt.objects.filter(next_poll_at__lte=now).count() == 2


def test_the_clock_forgets_what_gateways_said_long_ago(now: datetime) -> None:
    received("sess_1", now - timedelta(days=91))

    tasks.forget_callback_bodies(from_a_newer_release=True)

    assert bytes(Callback.objects.get().body) == b""
