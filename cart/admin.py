"""What support staff see: carts as they are; nobody shops for a customer here."""

from typing import ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.utils.html import format_html_join

from cart.models import Cart
from shop.kernel.admin import LongList, ReadOnlyAdmin, money_text
from shop.kernel.ids import as_uuid


@admin.register(Cart)
class CartAdmin(LongList, ReadOnlyAdmin):
    """Carts, to be read only: each is its shopper's own."""

    list_display: ClassVar = ["id", "version", "currency", "updated_at"]
    search_fields: ClassVar = ["id"]
    search_help_text = "The id of the shopper, which is the id of the cart"
    fields: ClassVar = ["id", "currency", "version", "updated_at", "articles"]

    def found(self, rows: QuerySet[Cart], text: str) -> QuerySet[Cart]:
        """Find by the id."""
        wanted = as_uuid(text)
        return rows.filter(id=wanted) if wanted else rows.none()

    @admin.display(description="Articles")
    def articles(self, cart: Cart) -> str:
        """List the lines at the prices the shopper saw last."""
        rows = (
            (line.quantity, line.name, line.sku, money_text(line.unit_price_seen, cart.currency))
            for line in cart.lines.all()
        )
        return format_html_join("", "<div>{} x {} ({}) at {}</div>", rows)
