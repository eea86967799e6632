"""What support staff see: carts as they are; nobody shops for a customer here."""

from typing import ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html_join
from unfold.admin import ModelAdmin
from unfold.paginator import InfinitePaginator

from cart.models import Cart
from shop.kernel.ids import as_uuid
from shop.kernel.money import Money


@admin.register(Cart)
class CartAdmin(ModelAdmin):
    """Carts, to be read only."""

    list_display: ClassVar = ["id", "version", "currency", "updated_at"]
    search_fields: ClassVar = ["id"]
    search_help_text = "The id of the shopper, which is the id of the cart"
    # Sorting by another column, or counting all rows, would cost more with every shopper who ever came.
    ordering: ClassVar = ["-id"]
    sortable_by: ClassVar[list[str]] = []
    paginator = InfinitePaginator
    show_full_result_count = False
    fields: ClassVar = ["id", "currency", "version", "updated_at", "articles"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Carts come from shoppers only."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Cart | None = None) -> bool:
        """A cart is the shopper's own."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Cart | None = None) -> bool:
        """A cart is the shopper's own."""
        return False

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Cart], search_term: str
    ) -> tuple[QuerySet[Cart], bool]:
        """Find by the id, exactly and by its index."""
        if not search_term.strip():
            return queryset, False
        wanted = as_uuid(search_term.strip())
        return queryset.filter(id=wanted) if wanted else queryset.none(), False

    @admin.display(description="Articles")
    def articles(self, cart: Cart) -> str:
        """List the lines at the prices the shopper saw last."""
        rows = (
            (line.quantity, line.name, line.sku, Money(line.unit_price_seen, cart.currency).major(), cart.currency)
            for line in cart.lines.all()
        )
        return format_html_join("", "<div>{} x {} ({}) at {} {}</div>", rows)
