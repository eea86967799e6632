"""Refunds as the ledger hears of them, and what it says, in the words tests compare."""

from datetime import datetime
from uuid import UUID

from django.db.models import F, Sum

from payments.models import Attempt, Posting, Refund
from payments.queries import RefundRow, lock_refund
from payments.services.ledger import post_refund, post_reversal
from payments.states import LedgerAccount
from shop.kernel.ids import new_id
from shop.kernel.transactions import open_unit_of_work

Entry = tuple[str, str, str, int, str]


def refund_of(attempt: Attempt, amount: int, now: datetime) -> RefundRow:
    """Return a refund of the attempt whose money has gone back, the ledger excepted."""
    refund = Refund.objects.create(
        attempt=attempt,
        gateway=attempt.gateway,
        gateway_refund_id=f"re_{new_id().hex}",
        status="succeeded",
        amount=amount,
        currency=attempt.currency,
        cause="requested",
        created_at=now,
        moved_at=now,
    )
    back = {"refund_held": F("refund_held") + amount, "refunded": F("refunded") + amount}
    Attempt.objects.filter(id=attempt.id).update(**back)
    with open_unit_of_work():
        row = lock_refund(refund_id=refund.id, order_id=attempt.payable_id)
    assert row is not None
    return row


def gone_back(attempt: Attempt, amount: int, now: datetime) -> RefundRow:
    """Return a refund of the attempt that is in the ledger as well."""
    row = refund_of(attempt, amount, now)
    with open_unit_of_work():
        lock_refund(refund_id=row.id, order_id=row.order_id)
        post_refund(refund=row, now=now)
    return row


def come_back(row: RefundRow, now: datetime) -> None:
    """Let the bank send the refund back."""
    Refund.objects.filter(id=row.id).update(status="reversed")
    back = {"refund_held": F("refund_held") - row.amount, "refunded": F("refunded") - row.amount}
    Attempt.objects.filter(id=row.attempt_id).update(**back)
    with open_unit_of_work():
        lock_refund(refund_id=row.id, order_id=row.order_id)
        post_reversal(refund=row, now=now)


def entries(order_id: UUID | None = None) -> list[Entry]:
    """Return `(kind, debit, credit, amount, currency)` of every posting, oldest first."""
    postings = Posting.objects.filter(order_id=order_id) if order_id else Posting.objects.all()
    return list(postings.order_by("id").values_list("kind", "debit", "credit", "amount", "currency"))


def balances(currency: str) -> dict[str, int]:
    """Return debits minus credits of every account that is not even in this currency."""
    sums = {account.value: 0 for account in LedgerAccount}
    for _, debit, credit, amount, posted_in in entries():
        if posted_in == currency:
            sums[debit] += amount
            sums[credit] -= amount
    return {account: amount for account, amount in sums.items() if amount}


def assert_adds_up() -> None:
    """Every currency sums to zero, and every attempt's postings are its captured money less what went back."""
    for currency in Posting.objects.order_by().values_list("currency", flat=True).distinct():
        assert sum(balances(currency).values()) == 0
    for attempt in Attempt.objects.all():
        of_it = Posting.objects.filter(attempt_id=attempt.id).exclude(kind="fee").order_by()
        taken = of_it.filter(debit="gateway_receivable").aggregate(sum=Sum("amount"))["sum"] or 0
        given = of_it.filter(credit="gateway_receivable").aggregate(sum=Sum("amount"))["sum"] or 0
        assert taken - given == attempt.captured - attempt.refunded, attempt.reference
