from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from checkout.states import Status
from shop.kernel.ids import new_id


class Checkout(models.Model):
    """One offer, frozen: what the cart held at `cart_version`, at the prices, tax and shipping of that moment.

    It holds stock under a reservation of the same id until it is ordered, released or expired. Prices include tax.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    user_id = models.UUIDField()
    guest = models.BooleanField()
    cart_id = models.UUIDField()
    cart_version = models.IntegerField()
    status = models.TextField(choices=[(status.value, status.value) for status in Status])
    currency = models.TextField()
    subtotal_minor = models.BigIntegerField()
    discount_minor = models.BigIntegerField()
    shipping_minor = models.BigIntegerField()
    tax_minor = models.BigIntegerField()
    total_minor = models.BigIntegerField()
    email = models.TextField()
    language = models.TextField()
    shipping_address = models.JSONField()
    billing_address = models.JSONField()
    shipping_method = models.TextField()
    quote_hash = models.TextField()
    expires_at = models.DateTimeField()
    created_at = models.DateTimeField()

    class Meta:
        db_table = "checkout_checkout"
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["user_id"], condition=Q(status=Status.OPEN.value), name="checkout_checkout_one_open"
            ),
            models.CheckConstraint(
                name="checkout_checkout_status_known", condition=Q(status__in=[status.value for status in Status])
            ),
            models.CheckConstraint(
                name="checkout_checkout_totals_add_up",
                condition=Q(total_minor=F("subtotal_minor") - F("discount_minor") + F("shipping_minor")),
            ),
            models.CheckConstraint(
                name="checkout_checkout_amounts_not_negative",
                condition=Q(subtotal_minor__gte=0, discount_minor__gte=0, shipping_minor__gte=0)
                & Q(tax_minor__gte=0, total_minor__gte=0),
            ),
            models.CheckConstraint(
                name="checkout_checkout_tax_is_included", condition=Q(tax_minor__lte=F("total_minor"))
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["user_id", "-id"], name="checkout_checkout_by_user"),
            models.Index(fields=["expires_at"], condition=Q(status=Status.OPEN.value), name="checkout_checkout_due"),
        ]

    def __str__(self) -> str:
        return str(self.id)


class Line(models.Model):
    """One article of the offer. Never changed."""

    pk = models.CompositePrimaryKey("checkout_id", "position")
    # The primary key's index begins with the checkout; a second one would only cost writes.
    checkout = models.ForeignKey(Checkout, models.CASCADE, related_name="lines", db_index=False)
    position = models.IntegerField()
    sku = models.TextField()
    name = models.TextField()
    quantity = models.IntegerField()
    unit_price_minor = models.BigIntegerField()
    discount_minor = models.BigIntegerField()
    tax_minor = models.BigIntegerField()
    line_total_minor = models.BigIntegerField()

    class Meta:
        db_table = "checkout_line"
        ordering: ClassVar = ["checkout_id", "position"]
        constraints: ClassVar = [
            models.CheckConstraint(name="checkout_line_quantity_positive", condition=Q(quantity__gt=0)),
            models.CheckConstraint(
                name="checkout_line_total_adds_up",
                condition=Q(line_total_minor=F("unit_price_minor") * F("quantity") - F("discount_minor")),
            ),
            models.CheckConstraint(
                name="checkout_line_amounts_not_negative",
                condition=Q(unit_price_minor__gte=0, discount_minor__gte=0, line_total_minor__gte=0)
                & Q(tax_minor__gte=0, tax_minor__lte=F("line_total_minor")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} x {self.sku}"


class ShippingMethod(models.Model):
    """One way of sending goods to one country. Prices include tax; `free_above` is compared with the goods' value."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    country = models.TextField(help_text="ISO 3166 alpha-2, such as DE.")
    code = models.TextField(help_text="What the frontend sends, such as standard.")
    name = models.TextField()
    currency = models.TextField()
    price_minor = models.BigIntegerField(help_text="Minor units, tax included.")
    free_above_minor = models.BigIntegerField(
        null=True, blank=True, help_text="Goods worth this or more are sent for nothing."
    )
    estimated_days = models.TextField(help_text="Such as 2-3.")

    class Meta:
        db_table = "checkout_shipping_method"
        ordering: ClassVar = ["country", "currency", "price_minor"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["country", "currency", "code"], name="checkout_shipping_method_unique"),
            models.CheckConstraint(
                name="checkout_shipping_method_amounts_not_negative",
                condition=Q(price_minor__gte=0) & (Q(free_above_minor__isnull=True) | Q(free_above_minor__gte=0)),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.country} {self.code}"


class TaxRate(models.Model):
    """The tax contained in prices for one country and tax class, from a day on, in millionths: 19 % is 190000."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    country = models.TextField(help_text="ISO 3166 alpha-2, such as DE.")
    tax_class = models.TextField(help_text="Such as standard or reduced; shipping is taxed as standard.")
    rate_ppm = models.IntegerField(help_text="Millionths: 19 % is 190000.")
    valid_from = models.DateField()

    class Meta:
        db_table = "checkout_tax_rate"
        ordering: ClassVar = ["country", "tax_class", "-valid_from"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["country", "tax_class", "valid_from"], name="checkout_tax_rate_unique"),
            models.CheckConstraint(
                name="checkout_tax_rate_sane", condition=Q(rate_ppm__gte=0, rate_ppm__lte=1_000_000)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.country} {self.tax_class} {self.rate_ppm / 10_000:g} %"
