"""What support staff see: carts as they are; nobody shops for a customer here."""

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html_join
from unfold.admin import ModelAdmin

from cart.models import Cart
from shop.kernel.money import Money


@admin.register(Cart)
class CartAdmin(ModelAdmin):
    list_display = ["id", "version", "currency", "updated_at"]
    search_fields = ["id"]
    readonly_fields = ["id", "currency", "version", "updated_at", "articles"]
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Cart | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Cart | None = None) -> bool:
        return False

    @admin.display(description="Articles")
    def articles(self, cart: Cart) -> str:
        """List the lines with the price the shopper saw last."""
        rows = (
            (line.quantity, line.name, line.sku, str(Money(line.unit_price_seen, cart.currency).major()), cart.currency)
            for line in cart.lines.all()
        )
        return format_html_join("", "<div>{} × {} ({}) at {} {}</div>", rows)
