"""The ledger against what it was written beside: planted differences are found, each by name, both ways."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from orders.dto import OrderView
from payments.models import Attempt, Posting, Refund
from payments.services.audit import LedgerCheck, audit_ledger, balances
from payments.services.ledger import post_sale
from payments.states import AttemptStatus
from shop.kernel.auth.dto import Caller
from shop.kernel.ids import new_id
from shop.kernel.transactions import open_unit_of_work
from tests.orders.factories import placed
from tests.payments.factories import attempt_in
from tests.payments.fakes import FakeGateway
from tests.payments.ledger import come_back, gone_back, refund_of

pytestmark = pytest.mark.django_db

Counting = Callable[[], AbstractContextManager[list[str]]]


@pytest.fixture
def paid(shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime) -> Attempt:
    return attempt_in(AttemptStatus.SUCCEEDED, caller=shopper, order=order, gateway=gateway, now=now)


def rewritten(statement: str) -> None:
    """Do to the ledger what its trigger forbids, as whoever owns the database could."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(statement)
        cursor.execute("SET LOCAL session_replication_role = origin")


def posted(paid: Attempt, **other: object) -> Posting:
    posting = Posting.objects.get(attempt_id=paid.id, kind="capture")
    posting.pk = new_id()
    for name, value in other.items():
        setattr(posting, name, value)
    posting.save(force_insert=True)
    return posting


def found() -> dict[LedgerCheck, list[tuple[str, str]]]:
    audit = audit_ledger()
    return {
        check: [(one.subject, one.detail) for one in audit.differences if one.check is check]
        for check, count in audit.differing.items()
        if count
    }


def test_an_empty_ledger_agrees() -> None:
    audit = audit_ledger()

    assert audit.clean
    assert audit.balances == ()


def test_a_ledger_of_everything_that_happens_agrees(
    paid: Attempt, order: OrderView, shopper: Caller, gateway: FakeGateway, now: datetime
) -> None:
    gone_back(paid, 500, now)
    with open_unit_of_work():
        post_sale(order_id=order.order_id, now=now)
    come_back(gone_back(paid, 300, now), now)
    gone_back(paid, 200, now)
    gateway.forget()
    another = placed(caller=shopper, now=now, currency="JPY")
    attempt_in(AttemptStatus.SUCCEEDED, caller=shopper, order=another, gateway=gateway, now=now)

    audit = audit_ledger()

    assert audit.clean, audit.differences
    assert [(one.account, str(one.amount.major()), one.amount.currency) for one in audit.balances] == [
        ("gateway_receivable", "21.70", "EUR"),
        ("customer_liability", "0.00", "EUR"),
        ("revenue", "23.70", "EUR"),
        ("refunds", "2.00", "EUR"),
        ("gateway_receivable", "2870", "JPY"),
        ("customer_liability", "2870", "JPY"),
    ]
    assert audit.balances == balances()


def test_money_without_a_posting_is_named(paid: Attempt) -> None:
    rewritten("DELETE FROM payments_posting")

    assert found() == {
        LedgerCheck.TOTALS: [("fake EUR", "the accounts hold 0, the attempts 2870")],
        LedgerCheck.ATTEMPTS: [(paid.reference, "captured 2870, posted 0; given back 0, posted 0")],
    }


def test_a_posting_without_money_is_named(paid: Attempt) -> None:
    nobody = new_id()
    posted(paid, source_id=nobody, attempt_id=nobody, amount=10)

    assert found() == {
        LedgerCheck.TOTALS: [("fake EUR", "the accounts hold 2880, the attempts 2870")],
        LedgerCheck.ATTEMPTS: [(str(nobody), "captured 0, posted 10; given back 0, posted 0")],
    }


def test_a_posting_in_another_currency_is_named(paid: Attempt) -> None:
    rewritten("UPDATE payments_posting SET currency = 'JPY'")

    assert set(found()) == {LedgerCheck.TOTALS, LedgerCheck.ATTEMPTS}


def test_a_refund_without_a_posting_is_named(paid: Attempt, now: datetime) -> None:
    refund = refund_of(paid, 870, now)

    assert found() == {
        LedgerCheck.TOTALS: [("fake EUR", "the accounts hold 2870, the attempts 2000")],
        LedgerCheck.ATTEMPTS: [(paid.reference, "captured 2870, posted 2870; given back 870, posted 0")],
        LedgerCheck.REFUNDS: [(str(refund.id), "succeeded: gone 870, posted 0; come back 0, posted 0")],
    }


def test_a_posting_of_no_refund_is_named(paid: Attempt) -> None:
    nothing = new_id()
    posted(paid, source_id=nothing, kind="refund", debit="customer_liability", credit="gateway_receivable", amount=1)

    assert found()[LedgerCheck.REFUNDS] == [(str(nothing), "no refund: gone 0, posted 1; come back 0, posted 0")]


def test_a_reversal_without_a_posting_is_named(paid: Attempt, now: datetime) -> None:
    refund = gone_back(paid, 870, now)
    Refund.objects.update(status="reversed")

    assert found() == {
        LedgerCheck.REFUNDS: [(str(refund.id), "reversed: gone 870, posted 870; come back 870, posted 0")],
        LedgerCheck.HELD: [(paid.reference, "holds 870 for refunds that hold 0; 870 given back by refunds of 0")],
    }


def test_what_an_attempt_holds_for_no_refund_is_named(paid: Attempt) -> None:
    Attempt.objects.update(refund_held=5)

    assert found() == {
        LedgerCheck.HELD: [(paid.reference, "holds 5 for refunds that hold 0; 0 given back by refunds of 0")]
    }


def test_an_order_that_owes_less_than_nothing_is_named(paid: Attempt, order: OrderView) -> None:
    posted(paid, kind="sale", debit="customer_liability", credit="revenue", amount=2_871)

    assert found() == {LedgerCheck.LIABILITY: [(str(order.order_id), "owes its customer -1 EUR")]}


def test_a_thousand_rows_take_as_many_statements_as_one(paid: Attempt, statements: Counting) -> None:
    with statements() as one:
        audit_ledger()
    Posting.objects.bulk_create(
        Posting(
            kind="capture",
            source_id=new_id(),
            order_id=new_id(),
            attempt_id=new_id(),
            gateway="fake",
            debit="gateway_receivable",
            credit="customer_liability",
            amount=1,
            currency="EUR",
            at=paid.moved_at,
        )
        for _ in range(1_000)
    )

    with statements() as many:
        audit = audit_ledger(limit=3)

    assert len(many) == len(one)
    assert audit.differing[LedgerCheck.ATTEMPTS] == 1_000
    assert len([one for one in audit.differences if one.check is LedgerCheck.ATTEMPTS]) == 3


def test_the_command_shows_balances_and_says_that_all_is_well(paid: Attempt) -> None:
    told = StringIO()

    call_command("check_ledger", stdout=told)

    assert told.getvalue().splitlines() == [
        "account             gateway  balance  currency",
        "------------------  -------  -------  --------",
        "gateway_receivable  fake       28.70  EUR     ",
        "customer_liability  fake       28.70  EUR     ",
        "",
        *[f"ok           {check.value}" for check in LedgerCheck],
    ]


def test_the_command_names_what_differs_and_fails(paid: Attempt) -> None:
    for _ in range(3):
        posted(paid, source_id=new_id(), attempt_id=new_id())
    told = StringIO()

    with pytest.raises(CommandError, match="differs") as failure:
        call_command("check_ledger", limit=1, stdout=told)

    assert failure.value.returncode == 1
    assert "3 differ     attempts and their postings\n" in told.getvalue()
    assert told.getvalue().count("captured 0, posted 2870") == 1
    assert "  and 2 more\n" in told.getvalue()


def test_the_command_says_when_there_is_nothing(db: None) -> None:
    told = StringIO()

    call_command("check_ledger", stdout=told)

    assert told.getvalue().startswith("The ledger is empty.\n")
