"""Every fact about money is written once, debited and credited alike, and never rewritten."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from django.db import IntegrityError, connection

from orders.dto import OrderView
from orders.events import OrderFulfilled
from payments import handlers, services
from payments.models import Attempt, Posting
from payments.queries import lock_attempt
from payments.services.ledger import post_refund, post_reversal, post_sale
from payments.states import AttemptStatus, Source
from shop.kernel.auth.dto import Caller
from shop.kernel.ids import new_id
from shop.kernel.money import Money
from shop.kernel.transactions import TransactionMisuse, open_unit_of_work, unit_of_work
from tests.orders.factories import placed
from tests.payments.factories import attempt_in, started
from tests.payments.fakes import FakeGateway, Killed
from tests.payments.ledger import assert_adds_up, balances, come_back, entries, gone_back, refund_of

pytestmark = pytest.mark.django_db

TOTAL = 2_870
CAPTURE = ("capture", "gateway_receivable", "customer_liability", TOTAL, "EUR")
SALE = ("sale", "customer_liability", "revenue", TOTAL, "EUR")


@pytest.fixture
def paid(shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime) -> Attempt:
    """An attempt that brought its money."""
    return attempt_in(AttemptStatus.SUCCEEDED, caller=shopper, order=order, gateway=gateway, now=now)


def sell(order: OrderView, now: datetime) -> None:
    with open_unit_of_work():
        post_sale(order_id=order.order_id, now=now)


class KilledAt:
    """Kills the caller at its n-th statement, after the statement was carried out."""

    def __init__(self, place: int) -> None:
        self.left = place

    def __call__(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        answer = execute(sql, params, many, context)
        self.left -= 1
        if self.left == 0:
            raise Killed
        return answer


def second_payment(paid: Attempt) -> Attempt:
    """Return another attempt of the same order, which has expired."""
    attempt = Attempt.objects.get(id=paid.id)
    attempt.pk = new_id()
    attempt.reference, attempt.session_id, attempt.status = f"ref-{attempt.pk}", f"sess-{attempt.pk}", "expired"
    attempt.captured = 0
    attempt.save(force_insert=True)
    return attempt


def capture_late(attempt: Attempt, gateway: FakeGateway, now: datetime) -> Attempt:
    """Let the attempt's money come after all."""
    first = gateway.sessions[gateway.only_session()]
    gateway.sessions[attempt.session_id] = replace(first, session_id=attempt.session_id, reference=attempt.reference)
    services.settle(attempt_id=attempt.id, source=Source.POLL, now=now)
    return Attempt.objects.get(id=attempt.id)


def test_captured_money_is_owed_to_the_customer(paid: Attempt, order: OrderView) -> None:
    assert entries(order.order_id) == [CAPTURE]
    posting = Posting.objects.get()
    assert (posting.source_id, posting.attempt_id, posting.gateway, posting.at) == (
        paid.id,
        paid.id,
        "fake",
        paid.moved_at,
    )
    assert_adds_up()


@pytest.mark.parametrize("status", [status for status in AttemptStatus if status is not AttemptStatus.SUCCEEDED])
def test_only_money_is_written(
    status: AttemptStatus, shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    attempt_in(status, caller=shopper, order=order, gateway=gateway, now=now)

    assert entries() == []


def test_a_second_look_writes_nothing_more(paid: Attempt, gateway: FakeGateway, now: datetime) -> None:
    for source in (Source.POLL, Source.CALLBACK, Source.STAFF):
        services.settle(attempt_id=paid.id, source=source, now=now)

    assert entries() == [CAPTURE]


def test_money_that_is_quarantined_is_not_written(
    shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    payment_id = started(shopper, order, now).payment.payment_id
    gateway.pay(gateway.only_session())
    gateway.lies = {"captured": Money(TOTAL - 1, "EUR")}

    services.settle(attempt_id=payment_id, source=Source.POLL, now=now)

    assert entries() == []


@pytest.mark.parametrize("fee", [Money(99, "EUR"), Money(107, "USD")])
def test_a_fee_the_gateway_tells_is_written_in_its_own_currency(
    fee: Money, shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    payment_id = started(shopper, order, now).payment.payment_id
    gateway.pay(gateway.only_session())
    gateway.lies = {"fee": fee}

    services.settle(attempt_id=payment_id, source=Source.POLL, now=now)

    assert entries() == [CAPTURE, ("fee", "fees", "gateway_receivable", fee.amount, fee.currency)]
    assert_adds_up()


def test_a_fee_of_nothing_is_not_written(
    shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    payment_id = started(shopper, order, now).payment.payment_id
    gateway.pay(gateway.only_session())
    gateway.lies = {"fee": Money(0, "EUR")}

    services.settle(attempt_id=payment_id, source=Source.POLL, now=now)

    assert entries() == [CAPTURE]


def test_a_fulfilled_order_is_revenue_once(paid: Attempt, order: OrderView, now: datetime) -> None:
    event = OrderFulfilled(
        occurred_at=now,
        order_id=order.order_id,
        number=order.number,
        user_id=order.user_id,
        guest=False,
        tracking="DHL 1",
    )

    for _ in range(2):
        with open_unit_of_work():
            handlers.order_fulfilled(event=event, event_id=new_id())

    assert entries() == [CAPTURE, SALE]
    assert balances("EUR") == {"gateway_receivable": TOTAL, "revenue": -TOTAL}


def test_an_order_nobody_paid_for_brings_no_revenue(
    shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    attempt_in(AttemptStatus.FAILED, caller=shopper, order=order, gateway=gateway, now=now)

    sell(order, now)

    assert entries() == []


def test_what_is_promised_back_is_not_sold(paid: Attempt, order: OrderView, now: datetime) -> None:
    Attempt.objects.filter(id=paid.id).update(refund_held=870)

    sell(order, now)

    assert balances("EUR") == {"gateway_receivable": TOTAL, "customer_liability": -870, "revenue": -2_000}


def test_an_order_paid_twice_is_sold_once(paid: Attempt, order: OrderView, gateway: FakeGateway, now: datetime) -> None:
    second = capture_late(second_payment(paid), gateway, now)
    assert second.captured == TOTAL

    sell(order, now)
    assert balances("EUR") == {"gateway_receivable": 2 * TOTAL, "customer_liability": -TOTAL, "revenue": -TOTAL}

    gone_back(second, TOTAL, now)
    sell(order, now)

    assert balances("EUR") == {"gateway_receivable": TOTAL, "revenue": -TOTAL}
    assert_adds_up()


def test_a_refund_before_the_sale_is_taken_from_what_is_owed(paid: Attempt, order: OrderView, now: datetime) -> None:
    gone_back(paid, 870, now)
    sell(order, now)

    assert entries()[1] == ("refund", "customer_liability", "gateway_receivable", 870, "EUR")
    assert balances("EUR") == {"gateway_receivable": 2_000, "revenue": -2_000}
    assert_adds_up()


def test_a_refund_after_the_sale_is_told_apart(paid: Attempt, order: OrderView, now: datetime) -> None:
    sell(order, now)
    gone_back(paid, 870, now)

    assert entries()[2] == ("refund_of_sale", "refunds", "gateway_receivable", 870, "EUR")
    assert balances("EUR") == {"gateway_receivable": 2_000, "revenue": -TOTAL, "refunds": 870}
    assert_adds_up()


def test_a_refund_may_be_of_both(paid: Attempt, order: OrderView, now: datetime) -> None:
    Attempt.objects.filter(id=paid.id).update(refund_held=500)
    sell(order, now)
    Attempt.objects.filter(id=paid.id).update(refund_held=0)

    refund = gone_back(paid, 800, now)

    assert entries()[2:] == [
        ("refund", "customer_liability", "gateway_receivable", 500, "EUR"),
        ("refund_of_sale", "refunds", "gateway_receivable", 300, "EUR"),
    ]
    come_back(refund, now)
    assert balances("EUR") == {"gateway_receivable": TOTAL, "customer_liability": -500, "revenue": -TOTAL + 500}
    assert_adds_up()


@pytest.mark.parametrize("sold", [False, True])
def test_a_reversal_writes_the_exact_opposite(sold: bool, paid: Attempt, order: OrderView, now: datetime) -> None:
    if sold:
        sell(order, now)
    before = balances("EUR")

    come_back(gone_back(paid, 870, now), now)

    assert balances("EUR") == before
    assert entries()[-1] == (
        "reversal_of_sale" if sold else "reversal",
        "gateway_receivable",
        "refunds" if sold else "customer_liability",
        870,
        "EUR",
    )
    assert_adds_up()


def test_what_is_told_twice_is_written_once(paid: Attempt, order: OrderView, now: datetime) -> None:
    refund = gone_back(paid, 870, now)
    with open_unit_of_work():
        post_refund(refund=refund, now=now)
    assert len(entries()) == 2

    come_back(refund, now)
    with open_unit_of_work():
        post_reversal(refund=refund, now=now)
    assert len(entries()) == 3


def test_a_refund_told_again_after_the_sale_is_still_one(paid: Attempt, order: OrderView, now: datetime) -> None:
    refund = gone_back(paid, 870, now)
    sell(order, now)

    with open_unit_of_work():
        post_refund(refund=refund, now=now)

    assert [entry[0] for entry in entries()] == ["capture", "refund", "sale"]


def test_a_refund_that_never_happened_has_no_opposite(paid: Attempt, now: datetime) -> None:
    refund = refund_of(paid, 870, now)

    with open_unit_of_work():
        post_reversal(refund=refund, now=now)

    assert entries() == [CAPTURE]


@pytest.mark.parametrize(("currency", "minor"), [("JPY", 2_870), ("KWD", 2_870)])
def test_every_currency_is_exact_to_its_smallest_coin(
    currency: str, minor: int, stranger: Caller, gateway: FakeGateway, now: datetime
) -> None:
    order = placed(caller=stranger, now=now, currency=currency)
    paid = attempt_in(AttemptStatus.SUCCEEDED, caller=stranger, order=order, gateway=gateway, now=now)

    gone_back(paid, 1, now)
    sell(order, now)
    gone_back(paid, 2, now)

    assert balances(currency) == {"gateway_receivable": minor - 3, "revenue": 1 - minor, "refunds": 2}
    assert_adds_up()


def test_the_ledger_only_joins(paid: Attempt, order: OrderView, now: datetime) -> None:
    refund = refund_of(paid, 870, now)

    with pytest.raises(TransactionMisuse):
        post_refund(refund=refund, now=now)
    with pytest.raises(TransactionMisuse):
        post_reversal(refund=refund, now=now)
    with pytest.raises(TransactionMisuse):
        post_sale(order_id=order.order_id, now=now)
    assert entries() == [CAPTURE]


def test_an_entry_goes_with_the_transaction_it_belongs_to(paid: Attempt, order: OrderView, now: datetime) -> None:
    refund = refund_of(paid, 870, now)

    @unit_of_work
    def cut_short() -> None:
        lock_attempt(attempt_id=paid.id, order_id=order.order_id)
        post_refund(refund=refund, now=now)
        raise Killed

    with pytest.raises(Killed):
        cut_short()
    assert entries() == [CAPTURE]


def test_wherever_a_settlement_is_killed_the_ledger_agrees_with_the_attempt(
    shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    payment_id = started(shopper, order, now).payment.payment_id
    gateway.pay(gateway.only_session())

    for place in range(1, 20):
        try:
            with connection.execute_wrapper(KilledAt(place)):
                services.settle(attempt_id=payment_id, source=Source.POLL, now=now)
        except Killed:
            assert_adds_up()
        else:
            break

    assert place > 2
    assert entries() == [CAPTURE]
    assert_adds_up()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE payments_posting SET amount = amount + 1",
        "UPDATE payments_posting SET at = at",
        "DELETE FROM payments_posting",
    ],
)
def test_the_ledger_is_append_only(statement: str, paid: Attempt) -> None:
    with pytest.raises(IntegrityError, match="append-only"), connection.cursor() as cursor:
        cursor.execute(statement)


def test_the_ledger_is_not_emptied(paid: Attempt) -> None:
    with pytest.raises(IntegrityError, match="append-only"), connection.cursor() as cursor:
        cursor.execute("TRUNCATE payments_posting")


@pytest.mark.parametrize(
    ("other", "constraint"),
    [
        ({"amount": 0}, "payments_posting_amount_positive"),
        ({"amount": -1}, "payments_posting_amount_positive"),
        ({"credit": "gateway_receivable"}, "payments_posting_two_accounts"),
        ({"credit": "pocket"}, "payments_posting_accounts_known"),
        ({"kind": "gift"}, "payments_posting_kind_known"),
        ({"kind": "capture"}, "payments_posting_once"),
    ],
)
def test_the_database_judges_an_entry(other: dict[str, object], constraint: str, paid: Attempt) -> None:
    posting = Posting.objects.get()
    posting.pk, posting.kind = new_id(), "sale"
    for name, value in other.items():
        setattr(posting, name, value)

    with pytest.raises(IntegrityError, match=constraint):
        posting.save(force_insert=True)
