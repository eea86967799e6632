"""What support staff see: stock and who holds it. Units are counted through the service, nothing else is edited."""

from typing import ClassVar

from django import forms
from django.contrib import admin, messages
from django.db.models import F, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html_join
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminIntegerFieldWidget

from shop.inventory import services
from shop.inventory.models import Reservation, Stock
from shop.inventory.queries import conservation_report
from shop.kernel.admin import LongList, ReadOnlyAdmin
from shop.kernel.ids import as_uuid

MOST_UNITS = 1_000_000_000


class CountForm(BaseDialogForm):
    """How many units lie on the shelf."""

    on_hand = forms.IntegerField(
        label="Units on hand", min_value=0, max_value=MOST_UNITS, widget=UnfoldAdminIntegerFieldWidget
    )


@admin.register(Stock)
class StockAdmin(ReadOnlyAdmin):
    """Units on the shelf, held, and free to be bought. Article names are on the catalogue's pages."""

    list_display: ClassVar = ["sku", "on_hand", "held", "available", "updated_at"]
    search_fields: ClassVar = ["sku"]
    fields: ClassVar = ["sku", "on_hand", "held", "available", "updated_at"]
    actions_list: ClassVar = ["check_that_stock_adds_up"]
    actions_detail: ClassVar = ["set_on_hand"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Stock]:
        """Bring along what can be bought, to be sorted by."""
        stock: QuerySet[Stock] = super().get_queryset(request)
        return stock.annotate(free=F("on_hand") - F("held"))

    @display(description="available", ordering="free")
    def available(self, stock: Stock) -> int:
        """Return the units nobody holds."""
        return stock.on_hand - stock.held

    @action(
        description="Set units on hand",
        permissions=["act"],
        url_path="set-on-hand",
        icon="inventory",
        dialog={
            "title": "Set units on hand",
            "description": "Count what lies on the shelf, held units included.",
            "form_class": CountForm,
            "form_submit_text": "Set",
        },
    )
    def set_on_hand(self, request: HttpRequest, form: CountForm, object_id: str) -> HttpResponse:
        """Set the units on hand, unless shoppers hold more."""
        on_hand = form.cleaned_data["on_hand"]

        def set_it() -> str:
            services.set_on_hand(sku=object_id, on_hand=on_hand)
            return f"On hand set to {on_hand}."

        if self.carried_out(request, Stock(sku=object_id), set_it):
            self.message_user(request, f"{object_id}: {on_hand} on hand.", messages.SUCCESS)
        # The dialog is sent by HTMX, which follows this header where a browser would follow a redirect.
        page = reverse("admin:inventory_stock_change", args=[object_id])
        return HttpResponse(headers={"HX-Redirect": page})

    @action(
        description="Check that stock adds up",
        permissions=["view"],
        url_path="check",
        icon="balance",
    )
    def check_that_stock_adds_up(self, request: HttpRequest) -> HttpResponse:
        """Compare what is held with what reservations promise, article by article."""
        differing = conservation_report()
        for one in differing:
            text = f"{one.sku}: {one.held} units are held, reservations promise {one.promised}."
            self.message_user(request, text, messages.ERROR)
        if not differing:
            self.message_user(request, "Every held unit has its reservation.", messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:inventory_stock_changelist"))


@admin.register(Reservation)
class ReservationAdmin(LongList, ReadOnlyAdmin):
    """Who holds what. A reservation bears the id of its checkout."""

    list_display: ClassVar = ["id", "state_label", "units", "expires_at", "created_at"]
    list_filter: ClassVar = ["state"]
    search_fields: ClassVar = ["id"]
    search_help_text = "The id of the reservation, which is the id of the checkout"
    fields: ClassVar = ["id", "holder", "state_label", "expires_at", "created_at", "articles"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Reservation]:
        """Bring the lines along."""
        reservations: QuerySet[Reservation] = super().get_queryset(request)
        return reservations.prefetch_related("lines")

    def found(self, rows: QuerySet[Reservation], text: str) -> QuerySet[Reservation]:
        """Find by the id."""
        wanted = as_uuid(text)
        return rows.filter(id=wanted) if wanted else rows.none()

    @display(
        description="state",
        label={"reserved": "info", "allocated": "info", "committed": "success", "restocked": "warning"},
    )
    def state_label(self, reservation: Reservation) -> str:
        """Return where the reservation stands."""
        return reservation.state

    @display(description="units")
    def units(self, reservation: Reservation) -> int:
        """Return the units of all lines."""
        return sum(line.quantity for line in reservation.lines.all())

    @display(description="articles")
    def articles(self, reservation: Reservation) -> str:
        """List the lines."""
        rows = ((line.quantity, line.sku) for line in reservation.lines.all())
        return format_html_join("", "<div>{} x {}</div>", rows)
