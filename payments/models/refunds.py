from typing import ClassVar

from django.db import models
from django.db.models import Q

from payments.models.attempts import Attempt
from payments.states import RefundCause, RefundStatus, Source
from shop.kernel.ids import new_id


class Refund(models.Model):
    """Money of one attempt on its way back to whoever paid.

    The row, whose id is the idempotency key, is committed before the gateway is asked. Its amount is held on the
    attempt (`refund_held`) until it is rejected or reversed. `next_try_at` is when the clock asks the gateway again;
    of a rejected one, when it sees to the rest of what is due.
    """

    id = models.UUIDField(primary_key=True, default=new_id)
    attempt = models.ForeignKey(Attempt, on_delete=models.PROTECT, related_name="refunds", db_index=False)
    gateway = models.TextField()
    # The gateway's own id; empty until it answered.
    gateway_refund_id = models.TextField(default="", db_default="", blank=True)
    status = models.TextField(choices=[(status.value, status.value) for status in RefundStatus])
    amount = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    cause = models.TextField(choices=[(cause.value, cause.value) for cause in RefundCause])
    # In the words of whoever asked for it; may name people, so it goes into no event.
    reason = models.TextField(default="", db_default="", blank=True)
    failure_code = models.TextField(default="", db_default="", blank=True)
    review_reason = models.TextField(default="", db_default="", blank=True)
    # The event that made the money due back, or the name of the request that asked for it: the same asks once.
    due_event_id = models.UUIDField(null=True, unique=True)
    tries = models.IntegerField(default=0, db_default=0)
    next_try_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField()
    moved_at = models.DateTimeField()

    class Meta:
        db_table = "payments_refund"
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["gateway", "gateway_refund_id"],
                condition=~Q(gateway_refund_id=""),
                name="payments_refund_gateway_refund",
            ),
            models.CheckConstraint(
                condition=Q(status__in=[status.value for status in RefundStatus]), name="payments_refund_status_known"
            ),
            models.CheckConstraint(condition=Q(amount__gt=0), name="payments_refund_amount_positive"),
            models.CheckConstraint(
                condition=~Q(status__in=["succeeded", "reversed"]) | ~Q(gateway_refund_id=""),
                name="payments_refund_done_is_known_there",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["attempt", "id"], name="payments_refund_attempt"),
            models.Index(fields=["next_try_at"], condition=Q(next_try_at__isnull=False), name="payments_refund_due"),
            models.Index(fields=["id"], condition=~Q(review_reason=""), name="payments_refund_review"),
        ]

    def __str__(self) -> str:
        return str(self.id)

    @property
    def needs_review(self) -> bool:
        """Whether the refund waits for a person."""
        return self.review_reason != ""


class RefundMove(models.Model):
    """One line of a refund's history; rows are only ever added."""

    id = models.UUIDField(primary_key=True, default=new_id)
    refund = models.ForeignKey(Refund, on_delete=models.PROTECT, related_name="moves", db_index=False)
    at = models.DateTimeField()
    from_status = models.TextField(blank=True)
    to_status = models.TextField()
    source = models.TextField(choices=[(source.value, source.value) for source in Source])
    why = models.TextField(default="", db_default="", blank=True)

    class Meta:
        db_table = "payments_refund_move"
        ordering: ClassVar = ["id"]
        indexes: ClassVar = [models.Index(fields=["refund", "id"], name="payments_refund_move_refund")]

    def __str__(self) -> str:
        return f"{self.from_status or '-'} -> {self.to_status}"
