"""What support staff see: checkouts as they were frozen; and the tables of shipping and tax, which they keep."""

from typing import ClassVar

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.utils.html import format_html_join
from unfold.admin import ModelAdmin

from checkout.models import Checkout, ShippingMethod, TaxRate
from shop.kernel.admin import LongList, ReadOnlyAdmin, money_text
from shop.kernel.ids import as_uuid


@admin.register(Checkout)
class CheckoutAdmin(LongList, ReadOnlyAdmin):
    """Offers; money and history to be read only."""

    list_display: ClassVar = ["id", "status", "total", "email", "created_at", "expires_at"]
    list_filter: ClassVar = ["status"]
    search_fields: ClassVar = ["id"]
    search_help_text = "The id of the checkout or of the shopper"
    fieldsets: ClassVar = [
        (None, {"fields": ["id", "status", "created_at", "expires_at", "quote_hash"]}),
        ("Offer", {"fields": ["articles", "subtotal", "discount", "shipping", "tax", "total"]}),
        ("Shopper", {"fields": ["email", "language", "user_id", "guest", "cart_id", "cart_version"]}),
        ("Delivery", {"fields": ["shipping_method", "shipping_address", "billing_address"]}),
    ]

    def found(self, rows: QuerySet[Checkout], text: str) -> QuerySet[Checkout]:
        """Find by an id."""
        wanted = as_uuid(text)
        return rows.filter(Q(id=wanted) | Q(user_id=wanted)) if wanted else rows.none()

    @admin.display(description="Articles")
    def articles(self, checkout: Checkout) -> str:
        """List the frozen lines."""
        rows = (
            (line.quantity, line.name, line.sku, money_text(line.line_total_minor, checkout.currency))
            for line in checkout.lines.all()
        )
        return format_html_join("", "<div>{} x {} ({}): {}</div>", rows)

    @admin.display
    def subtotal(self, checkout: Checkout) -> str:
        """Show the sum of the goods."""
        return money_text(checkout.subtotal_minor, checkout.currency)

    @admin.display
    def discount(self, checkout: Checkout) -> str:
        """Show what is taken off."""
        return money_text(checkout.discount_minor, checkout.currency)

    @admin.display
    def shipping(self, checkout: Checkout) -> str:
        """Show what sending costs."""
        return money_text(checkout.shipping_minor, checkout.currency)

    @admin.display(description="Tax, included")
    def tax(self, checkout: Checkout) -> str:
        """Show the tax the total contains."""
        return money_text(checkout.tax_minor, checkout.currency)

    @admin.display
    def total(self, checkout: Checkout) -> str:
        """Show what is to be paid."""
        return money_text(checkout.total_minor, checkout.currency)


@admin.register(ShippingMethod)
class ShippingMethodAdmin(ModelAdmin):
    """Ways of sending goods; a change holds for checkouts started after it."""

    list_display: ClassVar = ["country", "code", "name", "currency", "price_minor", "free_above_minor"]
    list_filter: ClassVar = ["country"]


@admin.register(TaxRate)
class TaxRateAdmin(ModelAdmin):
    """Tax rates; a new rate is a new row with the day it begins to hold."""

    list_display: ClassVar = ["country", "tax_class", "rate_ppm", "valid_from"]
    list_filter: ClassVar = ["country"]
