from typing import ClassVar

from django.db import models
from django.db.models import Q

from payments.states import FindingKind, FindingState
from shop.kernel.ids import new_id


class Finding(models.Model):
    """Something in which a gateway's books and ours, or ours among themselves, differ.

    It stays open until it is fixed, gone or dismissed.
    `subject` is what the finding is about, in the words of the side that has it: a session, a refund, a payment or
    an order. One is open at a time for each kind and subject; finding it again moves `seen_at`.
    """

    id = models.UUIDField(primary_key=True, default=new_id)
    kind = models.TextField(choices=[(kind.value, kind.value) for kind in FindingKind])
    gateway = models.TextField()
    subject = models.TextField()
    attempt_id = models.UUIDField(null=True, blank=True)
    order_id = models.UUIDField(null=True, blank=True)
    detail = models.TextField()
    state = models.TextField(
        choices=[(state.value, state.value) for state in FindingState],
        default=FindingState.OPEN.value,
        db_default=FindingState.OPEN.value,
    )
    resolution = models.TextField(default="", db_default="", blank=True)
    found_at = models.DateTimeField()
    seen_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "payments_finding"
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["kind", "gateway", "subject"], condition=Q(state="open"), name="payments_finding_one_open"
            ),
            models.CheckConstraint(
                condition=Q(kind__in=[kind.value for kind in FindingKind]), name="payments_finding_kind_known"
            ),
            models.CheckConstraint(
                condition=Q(state__in=[state.value for state in FindingState]), name="payments_finding_state_known"
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["state", "-id"], name="payments_finding_by_state"),
            # A difference a person waved through is not found again; this is where that is looked up.
            models.Index(
                fields=["kind", "gateway", "subject"], condition=Q(state="dismissed"), name="payments_finding_dismissed"
            ),
            models.Index(fields=["order_id"], condition=Q(order_id__isnull=False), name="payments_finding_order"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}"
