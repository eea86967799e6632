from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from payments.states import LedgerAccount, PostingKind
from shop.kernel.ids import new_id


class Posting(models.Model):
    """One double entry: `amount` minor units debited to one account and credited to another.

    Both sides stand in one row, so no row, and no sum of rows, can be out of balance. Rows are only ever added; a
    trigger refuses the rest. `(kind, source_id)` names the fact a row was written for, which is written once.
    """

    id = models.UUIDField(primary_key=True, default=new_id)
    kind = models.TextField(choices=[(kind.value, kind.value) for kind in PostingKind])
    source_id = models.UUIDField()
    order_id = models.UUIDField()
    attempt_id = models.UUIDField()
    gateway = models.TextField()
    debit = models.TextField(choices=[(account.value, account.value) for account in LedgerAccount])
    credit = models.TextField(choices=[(account.value, account.value) for account in LedgerAccount])
    amount = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    at = models.DateTimeField()

    class Meta:
        db_table = "payments_posting"
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["kind", "source_id"], name="payments_posting_once"),
            models.CheckConstraint(condition=Q(amount__gt=0), name="payments_posting_amount_positive"),
            models.CheckConstraint(condition=~Q(debit=F("credit")), name="payments_posting_two_accounts"),
            models.CheckConstraint(
                condition=Q(kind__in=[kind.value for kind in PostingKind]), name="payments_posting_kind_known"
            ),
            models.CheckConstraint(
                condition=Q(
                    debit__in=[account.value for account in LedgerAccount],
                    credit__in=[account.value for account in LedgerAccount],
                ),
                name="payments_posting_accounts_known",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["attempt_id"], name="payments_posting_attempt"),
            models.Index(fields=["order_id"], name="payments_posting_order"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.amount} {self.currency}"
