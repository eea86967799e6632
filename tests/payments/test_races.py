"""Real threads on the real database."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

import pytest
from django.db import connection

from orders.dto import OrderView
from payments import services
from payments.dto import Expiration, Processing, Settlement
from payments.errors import OrderNotPayable
from payments.models import Attempt, Callback, Finding, Move, Payable
from payments.ports import GatewayUnavailable
from payments.queries import RefundRow, lock_refund
from payments.services.ledger import post_refund, post_sale
from payments.states import AttemptStatus, Source
from shop.kernel.auth.dto import Caller
from shop.kernel.transactions import open_unit_of_work
from tests.integrations.sandbox_gateway.harness import eventually
from tests.orders.factories import again
from tests.payments.factories import SIGNED, attempt_in, callback_body, history, received, started, status_of, told
from tests.payments.fakes import FakeGateway
from tests.payments.ledger import assert_adds_up, balances, refund_of
from tests.races import tried_at_once

pytestmark = pytest.mark.django_db(transaction=True)

R = TypeVar("R")
BY = Source.CALLBACK


def raised(results: list[R | Exception]) -> Iterator[Exception]:
    """Yield what went wrong."""
    yield from (result for result in results if isinstance(result, Exception))


def somebody_waits_for_a_lock() -> bool:
    """Say whether a connection to this database stands in a queue."""
    with connection.cursor() as cursor:
        # Inside a transaction the view would show the same moment for ever.
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute(
            "SELECT EXISTS (SELECT 1 FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock')"
        )
        row: tuple[bool] = cursor.fetchone()
    return row[0]


def test_twenty_starts_at_once_open_one_session(
    shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    results = tried_at_once(*[lambda: started(shopper, order, now)] * 20)

    assert list(raised(results)) == []
    begun = [result for result in results if not isinstance(result, Exception)]
    assert sum(result.created for result in begun) == 1
    assert len({(result.payment.payment_id, result.payment.redirect_url) for result in begun}) == 1
    assert all(result.payment.redirect_url for result in begun)
    assert len(gateway.sessions) == 1
    assert [to for _, to in history(Attempt.objects.get().id)] == ["created", "pending"]


def test_the_same_callback_fifty_times_at_once_moves_once_and_is_told_once(
    shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    payment = started(shopper, order, now).payment
    session_id = gateway.only_session()
    gateway.pay(session_id)
    body = callback_body(session_id)

    def receive_and_process() -> Processing:
        services.receive_callback(gateway="fake", body=body, headers=SIGNED, now=now)
        return services.process_callback(callback_id=Callback.objects.get().id, now=now)

    results = tried_at_once(*[receive_and_process] * 50)

    assert list(raised(results)) == []
    assert results.count(Processing.APPLIED) == 1
    assert Callback.objects.get().state == "applied"
    assert status_of(payment.payment_id) == "succeeded"
    assert Move.objects.filter(to_status="succeeded").count() == 1
    assert told(order) == ["payment.success"]


def test_many_callbacks_about_one_payment_at_once_move_it_once(
    shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    started(shopper, order, now)
    session_id = gateway.only_session()
    gateway.pay(session_id)
    callbacks = [received(session_id, now, event_id=f"evt_{number}") for number in range(12)]

    results = tried_at_once(*[partial(services.process_callback, callback_id=one, now=now) for one in callbacks])

    assert results == [Processing.APPLIED] * 12
    assert Move.objects.filter(to_status="succeeded").count() == 1
    assert told(order) == ["payment.success"]


def test_callback_poll_reader_and_staff_at_once_move_it_once(
    shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    payment = started(shopper, order, now).payment
    gateway.pay(gateway.only_session())
    sources = [Source.CALLBACK, Source.POLL, Source.READER, Source.STAFF]

    results = tried_at_once(
        *[partial(services.settle, attempt_id=payment.payment_id, source=by, now=now) for by in sources]
    )

    settled = [result for result in results if isinstance(result, Settlement)]
    assert [result.status for result in settled] == ["succeeded"] * 4
    assert [result.outcome.value for result in settled].count("moved") == 1
    assert told(order) == ["payment.success"]


@pytest.mark.parametrize("attempt", range(5))
def test_expiry_and_a_paying_shopper_at_once_never_expire_money(
    attempt: int, shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    payment = started(shopper, order, now).payment
    session_id = gateway.only_session()
    deadline = order.payment_deadline

    def pay_and_call_back() -> object:
        # A gateway takes money only while the session is open, and so does the fake's shopper.
        if gateway.pay_if_open(session_id):
            return services.settle(attempt_id=payment.payment_id, source=Source.CALLBACK, now=deadline)
        return None

    results = tried_at_once(pay_and_call_back, lambda: services.expire_order(order_id=order.order_id, now=deadline))

    assert list(raised(results)) == []
    paid = gateway.sessions[session_id].captured.amount > 0
    assert told(order) == (["payment.success"] if paid else ["payment.failed"])
    assert status_of(payment.payment_id) == ("succeeded" if paid else "expired")
    assert again(order).status == ("pending_payment" if paid else "expired")
    assert results[1] is (Expiration.PAID if paid else Expiration.EXPIRED)


def test_a_start_and_the_expiry_at_once_leave_no_open_attempt_on_an_expired_order(
    shopper: Caller, order: OrderView, gateway: FakeGateway
) -> None:
    # The shopper's clock is a moment behind the one that expires orders.
    deadline = order.payment_deadline
    before = deadline - timedelta(milliseconds=1)

    results = tried_at_once(
        lambda: started(shopper, order, before),
        lambda: services.expire_order(order_id=order.order_id, now=deadline),
    )

    assert all(isinstance(error, OrderNotPayable) for error in raised(results))
    is_open = Attempt.objects.filter(status="pending").exists()
    assert again(order).status == ("pending_payment" if is_open else "expired")


def test_the_payable_is_locked_before_the_attempt(
    shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    payment = started(shopper, order, now).payment
    gateway.pay(gateway.only_session())
    with ThreadPoolExecutor(1) as pool:
        with open_unit_of_work():
            Payable.objects.select_for_update().get()
            settling = pool.submit(
                tried_at_once, partial(services.settle, attempt_id=payment.payment_id, source=BY, now=now)
            )
            eventually(somebody_waits_for_a_lock)

            # Whoever begins an attempt holds the payable and comes to the attempts last: nothing may stand in its way.
            free = list(Attempt.objects.select_for_update(nowait=True))
        (settlement,) = settling.result()

    assert len(free) == 1
    assert isinstance(settlement, Settlement)
    assert settlement.status == "succeeded"


def test_a_gateway_that_falls_silent_for_some_of_twenty_keeps_one_session(
    shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    gateway.fall_silent("create_session", times=10, after_doing=True)

    results = tried_at_once(*[lambda: started(shopper, order, now)] * 20)

    assert not any(isinstance(error, GatewayUnavailable) for error in raised(results))
    assert len(gateway.sessions) == 1
    assert started(shopper, order, now).payment.status == "pending"
    assert Attempt.objects.count() == 1


def test_a_sale_and_a_refund_at_once_are_written_as_one_after_the_other(
    shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    paid = attempt_in(AttemptStatus.SUCCEEDED, caller=shopper, order=order, gateway=gateway, now=now)
    refunds = [refund_of(paid, 900, now) for _ in range(3)]

    def give_back(refund: RefundRow) -> None:
        with open_unit_of_work():
            lock_refund(refund_id=refund.id, order_id=refund.order_id)
            post_refund(refund=refund, now=now)

    def sell() -> None:
        with open_unit_of_work():
            post_sale(order_id=order.order_id, now=now)

    results = tried_at_once(sell, sell, *[partial(give_back, refund) for refund in [*refunds, *refunds]])

    assert list(raised(results)) == []
    assert sum(balances("EUR").values()) == 0
    assert balances("EUR")["gateway_receivable"] == order.totals.total.amount - 2_700
    # Whoever came first: nothing is owed twice, and what was sold is what no refund held.
    assert balances("EUR").get("customer_liability", 0) == 0
    assert balances("EUR")["revenue"] == -170
    assert_adds_up()


def test_two_reconciliations_at_once_find_everything_once(
    shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    pending = attempt_in(AttemptStatus.PENDING, caller=shopper, order=order, gateway=gateway, now=now)
    gateway.pay(pending.session_id)
    paid = gateway.sessions[pending.session_id]
    for place in range(30):
        gateway.sessions[f"sess_{place}"] = replace(paid, session_id=f"sess_{place}", reference="nobody's")
    later = now + timedelta(hours=3)

    def look(at: datetime) -> tuple[int, int]:
        done = services.reconcile_gateway(gateway="fake", since=now, now=at)
        return done.new, done.gone

    results = tried_at_once(*[partial(look, later)] * 4)

    assert list(raised(results)) == []
    assert sum(result[0] for result in results if not isinstance(result, Exception)) == 31
    assert Finding.objects.filter(state="open").count() == Finding.objects.count() == 31
    mend = partial(
        services.fix_finding,
        finding_id=Finding.objects.get(kind="paid_unsettled_here").id,
        source=Source.RECONCILIATION,
        now=later,
    )
    assert [getattr(fix, "fixed", None) for fix in tried_at_once(mend, mend)].count(True) >= 1
    assert told(order) == ["payment.success"]
    assert_adds_up()
    gateway.sessions = {pending.session_id: paid}
    results = tried_at_once(*[partial(look, later + timedelta(hours=1))] * 4)

    assert list(raised(results)) == []
    assert sum(result[1] for result in results if not isinstance(result, Exception)) == 30
    assert sorted(set(Finding.objects.values_list("state", flat=True))) == ["fixed", "gone"]
