"""What support staff see: checkouts as they were frozen; and the tables of shipping and tax, which they keep."""

from typing import ClassVar

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html_join
from unfold.admin import ModelAdmin
from unfold.paginator import InfinitePaginator

from checkout.models import Checkout, ShippingMethod, TaxRate
from shop.kernel.ids import as_uuid
from shop.kernel.money import Money


@admin.register(Checkout)
class CheckoutAdmin(ModelAdmin):
    """Offers; money and history to be read only."""

    list_display: ClassVar = ["id", "status", "total", "email", "created_at", "expires_at"]
    list_filter: ClassVar = ["status"]
    search_fields: ClassVar = ["id"]
    search_help_text = "The id of the checkout or of the shopper"
    # Sorting by another column, or counting all rows, would cost more with every checkout ever made.
    ordering: ClassVar = ["-id"]
    sortable_by: ClassVar[list[str]] = []
    paginator = InfinitePaginator
    show_full_result_count = False
    fieldsets: ClassVar = [
        (None, {"fields": ["id", "status", "created_at", "expires_at", "quote_hash"]}),
        ("Offer", {"fields": ["articles", "subtotal", "discount", "shipping", "tax", "total"]}),
        ("Shopper", {"fields": ["email", "language", "user_id", "guest", "cart_id", "cart_version"]}),
        ("Delivery", {"fields": ["shipping_method", "shipping_address", "billing_address"]}),
    ]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Checkouts come from carts only."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Checkout | None = None) -> bool:
        """An offer is frozen."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Checkout | None = None) -> bool:
        """Checkouts stay."""
        return False

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Checkout], search_term: str
    ) -> tuple[QuerySet[Checkout], bool]:
        """Find by an id, exactly and by an index."""
        if not search_term.strip():
            return queryset, False
        wanted = as_uuid(search_term.strip())
        return queryset.filter(Q(id=wanted) | Q(user_id=wanted)) if wanted else queryset.none(), False

    @admin.display(description="Articles")
    def articles(self, checkout: Checkout) -> str:
        """List the frozen lines."""
        rows = (
            (line.quantity, line.name, line.sku, _written(line.line_total_minor, checkout))
            for line in checkout.lines.all()
        )
        return format_html_join("", "<div>{} x {} ({}): {}</div>", rows)

    @admin.display
    def subtotal(self, checkout: Checkout) -> str:
        """Show the sum of the goods."""
        return _written(checkout.subtotal_minor, checkout)

    @admin.display
    def discount(self, checkout: Checkout) -> str:
        """Show what is taken off."""
        return _written(checkout.discount_minor, checkout)

    @admin.display
    def shipping(self, checkout: Checkout) -> str:
        """Show what sending costs."""
        return _written(checkout.shipping_minor, checkout)

    @admin.display(description="Tax, included")
    def tax(self, checkout: Checkout) -> str:
        """Show the tax the total contains."""
        return _written(checkout.tax_minor, checkout)

    @admin.display
    def total(self, checkout: Checkout) -> str:
        """Show what is to be paid."""
        return _written(checkout.total_minor, checkout)


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


def _written(amount: int, checkout: Checkout) -> str:
    return f"{Money(amount, checkout.currency).major()} {checkout.currency}"
