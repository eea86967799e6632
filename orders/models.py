from typing import ClassVar

from django.db import models
from django.db.models import Case, F, Q, Value, When
from django.db.models.functions import Lower

from orders.states import EntryType, PaymentStatus, Status
from shop.kernel.ids import new_id


class Order(models.Model):
    """What shopper and shop agreed on, frozen at the checkout; only status, money and tracking move later."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    number = models.TextField()
    checkout_id = models.UUIDField()
    user_id = models.UUIDField()
    guest = models.BooleanField()
    status = models.TextField(choices=[(status.value, status.value) for status in Status])
    needs_review = models.BooleanField(default=False, db_default=False)
    currency = models.TextField()
    subtotal_minor = models.BigIntegerField()
    discount_minor = models.BigIntegerField()
    shipping_minor = models.BigIntegerField()
    tax_minor = models.BigIntegerField()
    total_minor = models.BigIntegerField()
    prices_include_tax = models.BooleanField()
    captured_minor = models.BigIntegerField(default=0, db_default=0)
    refunded_minor = models.BigIntegerField(default=0, db_default=0)
    # News of a refund came before news of its payment: whoever counts that payment counts the refunds again.
    refund_before_payment = models.BooleanField(default=False, db_default=False)
    # Derived and stored by the database itself, so no code path can leave it behind the figures it follows from.
    # Surplus that was given back leaves a paid order paid: what counts is captured minus refunded.
    payment_status = models.GeneratedField(
        expression=Case(
            When(captured_minor=0, total_minor__gt=0, then=Value(PaymentStatus.UNPAID.value)),
            When(captured_minor__gt=F("total_minor") + F("refunded_minor"), then=Value(PaymentStatus.OVERPAID.value)),
            When(captured_minor=F("total_minor") + F("refunded_minor"), then=Value(PaymentStatus.PAID.value)),
            When(refunded_minor=F("captured_minor"), then=Value(PaymentStatus.REFUNDED.value)),
            When(refunded_minor__gt=0, then=Value(PaymentStatus.PARTIALLY_REFUNDED.value)),
            default=Value(PaymentStatus.PENDING.value),
        ),
        output_field=models.TextField(),
        db_persist=True,
    )
    payment_id = models.UUIDField(null=True)
    email = models.TextField()
    language = models.TextField()
    shipping_address = models.JSONField()
    billing_address = models.JSONField()
    shipping_method = models.TextField()
    payment_deadline = models.DateTimeField()
    tracking = models.TextField(default="", db_default="")
    cancel_reason = models.TextField(default="", db_default="")
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        db_table = "orders_order"
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["number"], name="orders_order_number_unique"),
            models.UniqueConstraint(fields=["checkout_id"], name="orders_order_one_per_checkout"),
            models.CheckConstraint(
                name="orders_order_status_known", condition=Q(status__in=[status.value for status in Status])
            ),
            models.CheckConstraint(
                name="orders_order_totals_add_up",
                condition=Q(
                    prices_include_tax=True,
                    total_minor=F("subtotal_minor") - F("discount_minor") + F("shipping_minor"),
                )
                | Q(
                    prices_include_tax=False,
                    total_minor=F("subtotal_minor") - F("discount_minor") + F("shipping_minor") + F("tax_minor"),
                ),
            ),
            models.CheckConstraint(
                name="orders_order_amounts_not_negative",
                condition=Q(subtotal_minor__gte=0, discount_minor__gte=0, shipping_minor__gte=0)
                & Q(tax_minor__gte=0, total_minor__gte=0),
            ),
            models.CheckConstraint(
                name="orders_order_refunded_within_captured",
                condition=Q(refunded_minor__gte=0, refunded_minor__lte=F("captured_minor")),
            ),
            # What leaves the house has been paid, whatever the code believes.
            models.CheckConstraint(
                name="orders_order_paid_is_covered",
                condition=~Q(status__in=[Status.PAID.value, Status.FULFILLED.value])
                | Q(captured_minor__gte=F("total_minor")),
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["user_id", "-id"], name="orders_order_by_user"),
            models.Index(
                fields=["payment_deadline"],
                condition=Q(status=Status.PENDING_PAYMENT.value),
                name="orders_order_overdue",
            ),
            models.Index(Lower("email"), name="orders_order_by_email"),
            models.Index(fields=["-id"], condition=Q(needs_review=True), name="orders_order_in_review"),
            models.Index(
                fields=["updated_at"],
                condition=Q(status__in=[Status.EXPIRED.value, Status.CANCELLED.value], captured_minor__gt=0),
                name="orders_order_closed_with_money",
            ),
        ]

    def __str__(self) -> str:
        return self.number


class Line(models.Model):
    """One article of an order at the price that was agreed. Never changed."""

    pk = models.CompositePrimaryKey("order_id", "position")
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="lines", db_index=False)
    position = models.IntegerField()
    sku = models.TextField()
    name = models.TextField()
    quantity = models.IntegerField()
    unit_price_minor = models.BigIntegerField()
    discount_minor = models.BigIntegerField()
    tax_minor = models.BigIntegerField()
    line_total_minor = models.BigIntegerField()

    class Meta:
        db_table = "orders_line"
        ordering: ClassVar = ["order_id", "position"]
        constraints: ClassVar = [
            models.CheckConstraint(name="orders_line_quantity_positive", condition=Q(quantity__gt=0)),
            models.CheckConstraint(
                name="orders_line_amounts_not_negative",
                condition=Q(unit_price_minor__gte=0, discount_minor__gte=0, tax_minor__gte=0)
                & Q(line_total_minor__gte=0),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} x {self.sku}"


class Entry(models.Model):
    """One line of the timeline. Append-only: a trigger refuses UPDATE and DELETE. Never a person's data."""

    pk = models.CompositePrimaryKey("order_id", "id")
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="entries", db_index=False)
    id = models.UUIDField(default=new_id)
    at = models.DateTimeField()
    type = models.TextField(choices=[(kind.value, kind.value) for kind in EntryType])
    detail = models.TextField(default="")

    class Meta:
        db_table = "orders_entry"
        verbose_name_plural = "entries"
        ordering: ClassVar = ["order_id", "at", "id"]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.type}"


class Capture(models.Model):
    """Money one payment brought. Its row makes counting the same payment twice impossible.

    `due_back_minor` is the part the order has already said it cannot keep.
    """

    payment_id = models.UUIDField(primary_key=True)
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="captures")
    amount_minor = models.BigIntegerField()
    currency = models.TextField()
    due_back_minor = models.BigIntegerField(default=0, db_default=0)
    at = models.DateTimeField()

    class Meta:
        db_table = "orders_capture"
        ordering: ClassVar = ["at", "payment_id"]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="orders_capture_due_back_within_amount",
                condition=Q(amount_minor__gt=0, due_back_minor__gte=0, due_back_minor__lte=F("amount_minor")),
            ),
        ]

    def __str__(self) -> str:
        return f"payment {self.payment_id}"


class Refund(models.Model):
    """Money of one payment that the gateway says it gave back. It counts once told of, unless it came back as well.

    What was told stands in two flags that are only ever set: in whatever order news comes, and however often, the
    row ends up the same. `payment_id` may be of a payment that is not counted yet.
    """

    refund_id = models.UUIDField(primary_key=True)
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="refunds")
    payment_id = models.UUIDField()
    amount_minor = models.BigIntegerField()
    currency = models.TextField()
    succeeded = models.BooleanField()
    reversed = models.BooleanField()
    at = models.DateTimeField()

    class Meta:
        db_table = "orders_refund"
        ordering: ClassVar = ["at", "refund_id"]
        constraints: ClassVar = [
            models.CheckConstraint(name="orders_refund_amount_positive", condition=Q(amount_minor__gt=0)),
            models.CheckConstraint(
                name="orders_refund_something_was_told", condition=Q(succeeded=True) | Q(reversed=True)
            ),
        ]

    def __str__(self) -> str:
        return f"refund {self.refund_id}"
