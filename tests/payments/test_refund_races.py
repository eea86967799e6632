"""Refunds asked for, sent and imported at the same instant: real threads on the real database."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial

import pytest

from orders.dto import OrderView
from payments import services
from payments.dto import RefundsAdopted, RefundSettlement, RefundState, RefundView
from payments.errors import RefundExceedsCaptured
from payments.models import Attempt, Payable, Refund
from payments.states import RefundStatus, Source
from shop.kernel.money import Money
from shop.kernel.transactions import open_unit_of_work
from tests.integrations.sandbox_gateway.harness import eventually
from tests.payments.factories import told
from tests.payments.fakes import FakeGateway
from tests.payments.ledger import assert_adds_up
from tests.payments.refunds import asked, held_and_back, refund_history, refund_in
from tests.payments.test_races import somebody_waits_for_a_lock
from tests.races import tried_at_once

pytestmark = pytest.mark.django_db(transaction=True)

S = RefundStatus


def test_of_five_parallel_refunds_of_seven_hundred_of_a_thousand_one_is_made(
    paid: Attempt, ten_euros: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    def give_back() -> RefundSettlement:
        seven = Money(700, "EUR")
        refund = services.request_refund(payment_id=paid.id, amount=seven, reason="", now=now)
        return services.settle_refund(refund_id=refund.refund_id, source=Source.STAFF, now=now)

    results = tried_at_once(*[give_back] * 5)

    assert [result.status for result in results if isinstance(result, RefundSettlement)] == ["succeeded"]
    refused = [result for result in results if isinstance(result, RefundExceedsCaptured)]
    assert [error.data["refundable"] for error in refused] == [{"amount": 300, "currency": "EUR"}] * 4
    assert len(gateway.refunds) == 1
    assert held_and_back(paid.id) == (700, 700)
    assert told(ten_euros) == ["payment.success", "refund.succeeded"]
    assert_adds_up()


def test_refunds_that_fit_together_are_all_made(paid: Attempt, gateway: FakeGateway, now: datetime) -> None:
    hundred = Money(100, "EUR")

    results = tried_at_once(
        *[partial(services.request_refund, payment_id=paid.id, amount=hundred, reason="", now=now)] * 12
    )

    assert sum(isinstance(result, RefundView) for result in results) == 10
    assert sum(isinstance(result, RefundExceedsCaptured) for result in results) == 2
    assert held_and_back(paid.id) == (1_000, 0)


def test_one_refund_settled_by_everybody_at_once_is_one(
    paid: Attempt, ten_euros: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    refund_id = asked(paid.id, now, 700)
    settling = [
        partial(services.settle_refund, refund_id=refund_id, source=source, now=now)
        for source in (Source.STAFF, Source.POLL, Source.CALLBACK, Source.RECONCILIATION)
    ]

    results = tried_at_once(*settling)

    settled = [result for result in results if isinstance(result, RefundSettlement)]
    assert [result.status for result in settled] == ["succeeded"] * 4
    assert [result.outcome.value for result in settled].count("moved") == 1
    assert len(gateway.refunds) == 1
    assert refund_history(refund_id) == ["requested", "submitted", "succeeded"]
    assert told(ten_euros) == ["payment.success", "refund.succeeded"]


def test_of_two_clocks_one_takes_the_turn(paid: Attempt, gateway: FakeGateway, now: datetime) -> None:
    refund = refund_in(S.SUBMITTED, paid=paid, gateway=gateway, now=now)

    results = tried_at_once(*[partial(services.poll_refund, refund_id=refund.id, now=now + timedelta(hours=1))] * 6)

    assert results.count(None) == 5
    assert gateway.calls.count("fetch_refund") == 1


def test_several_who_import_at_once_import_once(
    paid: Attempt, ten_euros: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    gateway.refund_in_dashboard(300)
    gateway.refund_in_dashboard(200, RefundState.PENDING)

    results = tried_at_once(
        *[partial(services.adopt_refunds_of, attempt_id=paid.id, source=Source.CALLBACK, now=now)] * 8
    )

    adopted = [result for result in results if isinstance(result, RefundsAdopted)]
    assert len(adopted) == 8
    assert sorted(len(result.imported) for result in adopted) == [0] * 7 + [2]
    assert sorted(Refund.objects.values_list("amount", "status")) == [(200, "submitted"), (300, "succeeded")]
    assert held_and_back(paid.id) == (500, 300)
    assert told(ten_euros) == ["payment.success", "refund.succeeded"]


@pytest.mark.parametrize("attempt", range(3))
def test_importers_and_our_own_call_at_once_make_one_row(
    attempt: int, paid: Attempt, ten_euros: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    refund_id = asked(paid.id, now, 700)
    send = partial(services.settle_refund, refund_id=refund_id, source=Source.STAFF, now=now)
    adopt = partial(services.adopt_refunds_of, attempt_id=paid.id, source=Source.CALLBACK, now=now)

    results = tried_at_once(send, adopt, adopt, send, adopt)

    assert [result for result in results if isinstance(result, Exception)] == []
    assert list(Refund.objects.values_list("id", "status", "cause")) == [(refund_id, "succeeded", "requested")]
    assert told(ten_euros) == ["payment.success", "refund.succeeded"]
    assert_adds_up()


def test_the_payable_is_locked_before_attempt_and_refund(paid: Attempt, gateway: FakeGateway, now: datetime) -> None:
    refund_id = asked(paid.id, now, 700)
    with ThreadPoolExecutor(1) as pool:
        with open_unit_of_work():
            Payable.objects.select_for_update().get()
            settling = pool.submit(
                tried_at_once, partial(services.settle_refund, refund_id=refund_id, source=Source.POLL, now=now)
            )
            eventually(somebody_waits_for_a_lock)

            free = [*Attempt.objects.select_for_update(nowait=True), *Refund.objects.select_for_update(nowait=True)]
        (settlement,) = settling.result()

    assert len(free) == 2
    assert isinstance(settlement, RefundSettlement)
    assert settlement.status == "succeeded"
