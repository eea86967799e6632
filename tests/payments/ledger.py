"""What the ledger says, in the words tests compare."""

from uuid import UUID

from django.db.models import F, Sum

from payments.models import Attempt, Posting
from payments.states import LedgerAccount

Entry = tuple[str, str, str, int, str]


def entries(order_id: UUID | None = None) -> list[Entry]:
    """Return `(kind, debit, credit, amount, currency)` of every posting, oldest first."""
    postings = Posting.objects.filter(order_id=order_id) if order_id else Posting.objects.all()
    return list(postings.order_by("id").values_list("kind", "debit", "credit", "amount", "currency"))


def balances(currency: str) -> dict[str, int]:
    """Return debits minus credits of every account that has an entry in this currency."""
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
    assert not Attempt.objects.exclude(refunded__lte=F("captured")).exists()
