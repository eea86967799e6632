from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from payments.states import OPEN, AttemptStatus, PayableState, Source
from shop.kernel.ids import new_id


class Payable(models.Model):
    """The money one order asks for. Its row is locked before any attempt of the order is moved.

    It is opened by `order.created` or by the first attempt, whichever comes first; both meet in this one row.
    """

    order_id = models.UUIDField(primary_key=True)
    user_id = models.UUIDField()
    guest = models.BooleanField()
    number = models.TextField()
    amount = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    deadline = models.DateTimeField()
    state = models.TextField(
        choices=[(state.value, state.value) for state in PayableState],
        default=PayableState.OPEN.value,
        db_default=PayableState.OPEN.value,
    )
    # When the clock may look again at an order whose deadline has passed; null until it looked first.
    next_expiry_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "payments_payable"
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(amount__gte=0), name="payments_payable_amount_not_negative"),
            models.CheckConstraint(
                condition=Q(state__in=[state.value for state in PayableState]), name="payments_payable_state_known"
            ),
        ]

    def __str__(self) -> str:
        return self.number


class Attempt(models.Model):
    """One attempt to collect an order's money at one gateway; shoppers know it as a payment.

    `next_poll_at` is when the clock asks the gateway again and null when nobody need ask. A `review_reason`
    keeps the attempt as it is until a person has looked.
    """

    id = models.UUIDField(primary_key=True, default=new_id)
    payable = models.ForeignKey(
        Payable, on_delete=models.PROTECT, db_column="order_id", related_name="attempts", db_index=False
    )
    user_id = models.UUIDField()
    gateway = models.TextField()
    reference = models.TextField(unique=True)
    session_id = models.TextField(default="", db_default="", blank=True)
    # The gateway's name for the money, where that is not the session's: its refunds speak of it.
    gateway_payment_id = models.TextField(default="", db_default="", blank=True)
    status = models.TextField(choices=[(status.value, status.value) for status in AttemptStatus])
    amount = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    captured = models.BigIntegerField(default=0, db_default=0)
    # Of the captured money: what refunds hold (asked for, under way, done), and what has gone back.
    refund_held = models.BigIntegerField(default=0, db_default=0)
    refunded = models.BigIntegerField(default=0, db_default=0)
    return_url = models.TextField()
    redirect_url = models.TextField(default="", db_default="", blank=True)
    failure_code = models.TextField(default="", db_default="", blank=True)
    review_reason = models.TextField(default="", db_default="", blank=True)
    # Set when the order was cancelled: the clock closes the session at the gateway instead of asking.
    close_wanted = models.BooleanField(default=False, db_default=False)
    polls = models.IntegerField(default=0, db_default=0)
    next_poll_at = models.DateTimeField(null=True, blank=True)
    looked_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField()
    created_at = models.DateTimeField()
    moved_at = models.DateTimeField()

    class Meta:
        db_table = "payments_attempt"
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["payable"],
                condition=Q(status__in=sorted(status.value for status in OPEN)),
                name="payments_attempt_one_open",
            ),
            models.UniqueConstraint(
                fields=["gateway", "session_id"], condition=~Q(session_id=""), name="payments_attempt_session"
            ),
            models.CheckConstraint(
                condition=Q(status__in=[status.value for status in AttemptStatus]),
                name="payments_attempt_status_known",
            ),
            models.CheckConstraint(condition=Q(amount__gt=0), name="payments_attempt_amount_positive"),
            models.CheckConstraint(
                condition=Q(status="succeeded", captured=F("amount")) | (~Q(status="succeeded") & Q(captured=0)),
                name="payments_attempt_captured_whole",
            ),
            models.CheckConstraint(
                condition=Q(refunded__gte=0, refunded__lte=F("refund_held"), refund_held__lte=F("captured")),
                name="payments_attempt_refunds_within_captured",
            ),
            models.CheckConstraint(
                condition=Q(status__in=["created", "unknown", "failed"]) | ~Q(session_id=""),
                name="payments_attempt_session_known",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["payable", "id"], name="payments_attempt_order"),
            models.Index(fields=["next_poll_at"], condition=Q(next_poll_at__isnull=False), name="payments_attempt_due"),
            models.Index(fields=["id"], condition=~Q(review_reason=""), name="payments_attempt_review"),
            models.Index(
                fields=["gateway", "gateway_payment_id"],
                condition=~Q(gateway_payment_id=""),
                name="payments_attempt_gateway_money",
            ),
        ]

    def __str__(self) -> str:
        return self.reference

    @property
    def needs_review(self) -> bool:
        """Whether the attempt waits for a person."""
        return self.review_reason != ""


class Move(models.Model):
    """One line of an attempt's history; rows are only ever added. A quarantine stays where it is: from = to."""

    id = models.UUIDField(primary_key=True, default=new_id)
    attempt = models.ForeignKey(Attempt, on_delete=models.PROTECT, related_name="moves", db_index=False)
    at = models.DateTimeField()
    from_status = models.TextField(blank=True)
    to_status = models.TextField()
    source = models.TextField(choices=[(source.value, source.value) for source in Source])
    why = models.TextField(default="", db_default="", blank=True)

    class Meta:
        db_table = "payments_move"
        ordering: ClassVar = ["id"]
        indexes: ClassVar = [models.Index(fields=["attempt", "id"], name="payments_move_attempt")]

    def __str__(self) -> str:
        return f"{self.from_status or '-'} -> {self.to_status}"
