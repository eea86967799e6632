"""Expiry and success meet at one row, in both orders: of two that wait for it, PostgreSQL serves who queued first."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from functools import partial
from threading import Event
from uuid import UUID

import pytest
from django.db import connection

from orders.dto import OrderView
from payments import services
from payments.dto import Expiration, GatewaySession, SessionState, Settlement
from payments.models import Payable
from payments.services import clock
from payments.states import Source
from shop.inventory.models import Reservation
from shop.kernel.auth.dto import Caller
from shop.kernel.transactions import open_unit_of_work
from tests.integrations.sandbox_gateway.harness import eventually
from tests.orders.factories import again, happened, pay
from tests.payments.factories import history, started, told
from tests.payments.fakes import FakeGateway
from tests.races import tried_at_once

pytestmark = pytest.mark.django_db(transaction=True)

PATIENCE_SECONDS = 90
Done = list[object]


def waiting_for_a_lock(wanted: int) -> bool:
    """Say whether so many connections to this database stand in a queue."""
    with connection.cursor() as cursor:
        # Inside a transaction the view would show the same moment for ever.
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        row: tuple[int] = cursor.fetchone()
    return row[0] == wanted


class Meeting:
    """The expiry has closed the session and holds the gateway's word; the gateway takes the money all the same."""

    def __init__(self, gateway: FakeGateway, order: OrderView, now: datetime, caller: Caller) -> None:
        self.order, self.deadline = order, order.payment_deadline
        self.payment_id = started(caller, order, now).payment.payment_id
        self.gateway, self.session_id = gateway, gateway.only_session()
        self._closed, self._go, self._has_succeeded = Event(), Event(), Event()
        self._close, self._end = gateway.close_session, clock._end_payable

    def close_and_dawdle(self, session_id: str) -> GatewaySession:
        """Close the session, and keep the answer until the test lets it go."""
        word = self._close(session_id)
        self._closed.set()
        assert self._go.wait(PATIENCE_SECONDS)
        return word

    def end_behind_success(self, order_id: UUID) -> Expiration:
        """End the order's payable after the success: who queued for a row may be overtaken by who comes just then."""
        assert self._has_succeeded.wait(PATIENCE_SECONDS)
        return self._end(order_id)

    def held(self, *, first: str) -> tuple[object, object]:
        """Let both come to the payable's lock, `first` before the other; return what expiry and success did."""
        with ThreadPoolExecutor(2) as pool:
            expiring = pool.submit(tried_at_once, self._expire)
            assert self._closed.wait(PATIENCE_SECONDS)
            self.gateway.pay(self.session_id)
            succeeding: list[Future[Done]] = []
            steps: dict[str, Callable[[], object]] = {
                "expiry": self._go.set,
                "success": lambda: succeeding.append(pool.submit(tried_at_once, self._succeed)),
            }
            with open_unit_of_work():
                Payable.objects.select_for_update().get()
                in_order = [first, *(name for name in steps if name != first)]
                for queued, name in enumerate(in_order, start=1):
                    steps[name]()
                    eventually(partial(waiting_for_a_lock, queued))
            return expiring.result()[0], succeeding[0].result()[0]

    def _expire(self) -> object:
        return services.expire_order(order_id=self.order.order_id, now=self.deadline)

    def _succeed(self) -> object:
        try:
            return services.settle(attempt_id=self.payment_id, source=Source.CALLBACK, now=self.deadline)
        finally:
            self._has_succeeded.set()


@pytest.fixture
def meeting(
    shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> Meeting:
    """Both are about to happen."""
    both = Meeting(gateway, order, now, shopper)
    monkeypatch.setattr(gateway, "close_session", both.close_and_dawdle)
    monkeypatch.setattr(clock, "_end_payable", both.end_behind_success)
    return both


def test_success_that_has_the_lock_before_expiry_keeps_the_order_from_expiring(meeting: Meeting) -> None:
    expired, succeeded = meeting.held(first="success")

    assert isinstance(succeeded, Settlement)
    assert (succeeded.status, expired) == ("succeeded", Expiration.PAID)
    assert history(meeting.payment_id)[-1] == ("pending", "succeeded")
    assert told(meeting.order) == ["payment.success"]
    assert again(meeting.order).status == "pending_payment"
    pay(meeting.order, payment_id=meeting.payment_id, now=meeting.deadline)
    assert again(meeting.order).status == "paid"
    assert happened(meeting.order) == ["placed", "paid"]


def test_success_that_has_the_lock_right_after_expiry_still_comes_before_the_orders_end(meeting: Meeting) -> None:
    expired, succeeded = meeting.held(first="expiry")

    assert isinstance(succeeded, Settlement)
    # The attempt had expired; the order's own end came to the lock behind the money.
    assert (succeeded.status, expired) == ("succeeded", Expiration.PAID)
    assert history(meeting.payment_id)[-2:] == [("pending", "expired"), ("expired", "succeeded")]
    assert told(meeting.order) == ["payment.failed", "payment.success"]
    assert again(meeting.order).status == "pending_payment"
    pay(meeting.order, payment_id=meeting.payment_id, now=meeting.deadline)
    assert again(meeting.order).status == "paid"
    assert happened(meeting.order) == ["placed", "paid"]
    assert Reservation.objects.get().state == "committed"
    assert meeting.gateway.sessions[meeting.session_id].state is SessionState.PAID
