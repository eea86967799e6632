"""Orders for support staff: all about one order on one page, money and history to be read only."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar
from uuid import UUID

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.db.models.functions import Lower
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.module_loading import import_string
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from orders import queries, services
from orders.models import Capture, Entry, Line, Order
from orders.serializers import LONGEST_REASON, LONGEST_TRACKING
from orders.states import TRANSITIONS, Status
from shop.kernel.admin import LongList, ReadOnlyAdmin, instant_text, money_text
from shop.kernel.auth.dto import Caller
from shop.kernel.clock import utc_now
from shop.kernel.ids import as_uuid, normal_order_number
from shop.kernel.panels import Link, OrderPanel, OrderSearch, Panel, Row
from shop.kernel.validators import refuse_secrets


class CancelForm(forms.Form):
    """Why an order is called off."""

    reason = forms.CharField(max_length=LONGEST_REASON, validators=[refuse_secrets], widget=UnfoldAdminTextareaWidget)


class FulfilForm(forms.Form):
    """How an order was sent, and what a colleague should know of it."""

    tracking = forms.CharField(
        max_length=LONGEST_TRACKING, required=False, label="Tracking number", widget=UnfoldAdminTextInputWidget
    )
    reason = forms.CharField(
        max_length=LONGEST_REASON, validators=[refuse_secrets], label="Note", widget=UnfoldAdminTextareaWidget
    )


class ReviewedForm(forms.Form):
    """What came of looking."""

    reason = forms.CharField(
        max_length=LONGEST_REASON, validators=[refuse_secrets], label="What was found", widget=UnfoldAdminTextareaWidget
    )


@dataclass(frozen=True, slots=True)
class _Act:
    """Something staff do to an order after they have confirmed it. `do` returns what the admin's log says."""

    title: str
    consequence: str
    form: type[forms.Form]
    do: Callable[[Order, Mapping[str, str], Caller], str]


def _cancel(order: Order, said: Mapping[str, str], caller: Caller) -> str:
    services.cancel(caller=caller, order_id=order.pk, reason=said["reason"], now=utc_now())
    return f"Cancelled: {said['reason']}"


def _fulfil(order: Order, said: Mapping[str, str], caller: Caller) -> str:  # noqa: ARG001  every act's signature
    services.fulfil(order_id=order.pk, tracking=said["tracking"], now=utc_now())
    return f"Sent: {said['reason']}"


def _review(order: Order, said: Mapping[str, str], caller: Caller) -> str:  # noqa: ARG001  every act's signature
    services.mark_reviewed(order_id=order.pk, now=utc_now())
    return f"Reviewed: {said['reason']}"


_CANCEL = _Act("Cancel", "Its stock is freed. Money that was taken goes back to the shopper.", CancelForm, _cancel)
_FULFIL = _Act("Send", "The order can no longer be cancelled.", FulfilForm, _fulfil)
_REVIEW = _Act("Reviewed", "The order leaves the list of those that need a person.", ReviewedForm, _review)


@admin.register(Order)
class OrderAdmin(LongList, ReadOnlyAdmin):
    """The support page. What other contexts know of an order stands below it: see `settings.ORDER_PANELS`."""

    list_display: ClassVar = ["number", "status_label", "payment_label", "total", "email", "review_label", "placed"]
    list_filter: ClassVar = ["status", "needs_review"]
    search_fields: ClassVar = ["number"]
    search_help_text = "Order number, e-mail address, or a gateway's reference"
    actions_detail: ClassVar = ["cancel_order", "fulfil_order", "review_order"]
    change_form_outer_after_template = "orders/panels.html"
    # Two side by side, so that the panels below are not far away.
    fieldsets: ClassVar = [
        (None, {"fields": [("number", "placed"), ("status_label", "deadline"), ("payment_label", "review_label")]}),
        ("Money", {"fields": [("subtotal", "total"), ("discount", "captured"), ("shipping", "refunded"), "tax"]}),
        ("Shopper", {"fields": [("email", "user_id"), ("language", "guest"), ("ship_to", "bill_to")]}),
        ("The goods", {"fields": [("shipping_method", "tracking"), "cancel_reason"]}),
    ]

    def found(self, rows: QuerySet[Order], text: str) -> QuerySet[Order]:
        """Find by what a person has at hand."""
        if "@" in text:
            return rows.annotate(lowered=Lower("email")).filter(lowered=text.lower())
        matching = Q(pk__in=_found_elsewhere(text))
        if number := normal_order_number(text):
            matching |= Q(number=number)
        if order_id := as_uuid(text):
            matching |= Q(pk=order_id)
        return rows.filter(matching)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the order with a panel of each context that knows something of it."""
        order_id = as_uuid(object_id)
        panels = _panels(order_id) if order_id and self.has_view_permission(request) else []
        context = {"panels": [_table(panel, request) for panel in panels], **(extra_context or {})}
        response: HttpResponse = super().change_view(request, object_id, form_url, context)
        return response

    def get_actions_detail(self, request: HttpRequest, object_id: str) -> list[Any]:
        """Offer only what the order's state allows."""
        order = self.get_object(request, object_id)
        if order is None:
            return []
        moves = TRANSITIONS[Status(order.status)]
        offered = {
            "cancel_order": Status.CANCELLED in moves,
            "fulfil_order": Status.FULFILLED in moves and not queries.is_given_back(order=order),
            "review_order": order.needs_review,
        }
        allowed = super().get_actions_detail(request, object_id)
        return [each for each in allowed if offered[each.method.original_function_name]]

    @action(description="Cancel the order", permissions=["act"], url_path="cancel", icon="cancel")
    def cancel_order(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask for a reason, then cancel."""
        return self._confirmed(request, object_id, _CANCEL)

    @action(description="Mark as sent", permissions=["act"], url_path="fulfil", icon="local_shipping")
    def fulfil_order(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask for the tracking number, then note that the goods are on their way."""
        return self._confirmed(request, object_id, _FULFIL)

    @action(description="Mark as reviewed", permissions=["act"], url_path="reviewed", icon="task_alt")
    def review_order(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask what was found, then take the flag off."""
        return self._confirmed(request, object_id, _REVIEW)

    def _confirmed(self, request: HttpRequest, object_id: str, act: _Act) -> HttpResponse:
        """Show the form until it is filled in, then act, write it into the admin's log, and go back."""
        order = self.get_object(request, object_id)
        staff_id = request.user.pk
        if order is None or staff_id is None:
            raise Http404
        page = reverse("admin:orders_order_change", args=[order.pk])
        form = act.form(request.POST or None)
        if not form.is_valid():
            context = {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "title": f"{act.title}: {order.number}",
                "form": form,
                "consequence": act.consequence,
                "page": page,
            }
            return TemplateResponse(request, "orders/confirm.html", context)
        caller = Caller(id=staff_id, guest=False, staff=True)
        if self.carried_out(request, order, lambda: act.do(order, form.cleaned_data, caller)):
            self.message_user(request, f"{order.number}: done.", messages.SUCCESS)
        return HttpResponseRedirect(page)

    @display(description="status", label={"paid": "success", "fulfilled": "success", "pending_payment": "info"})
    def status_label(self, order: Order) -> str:
        """Return where the order stands."""
        return order.status

    @display(description="payment", label={"paid": "success", "overpaid": "warning", "pending": "warning"})
    def payment_label(self, order: Order) -> str:
        """Return what the money says."""
        return str(order.payment_status)

    @display(description="review", label={"needs review": "danger"})
    def review_label(self, order: Order) -> str:
        """Return whether a person must look."""
        return "needs review" if order.needs_review else ""

    @admin.display(description="placed (UTC)")
    def placed(self, order: Order) -> str:
        """Return when the order was placed."""
        return instant_text(order.created_at)

    @admin.display(description="pay until (UTC)")
    def deadline(self, order: Order) -> str:
        """Return until when the order waits for its money."""
        return instant_text(order.payment_deadline)

    def subtotal(self, order: Order) -> str:
        """Return what the lines cost."""
        return money_text(order.subtotal_minor, order.currency)

    def discount(self, order: Order) -> str:
        """Return what was taken off."""
        return money_text(order.discount_minor, order.currency)

    def shipping(self, order: Order) -> str:
        """Return what the way costs."""
        return money_text(order.shipping_minor, order.currency)

    def tax(self, order: Order) -> str:
        """Return the tax, and whether the prices hold it."""
        return f"{money_text(order.tax_minor, order.currency)}{' (in the prices)' if order.prices_include_tax else ''}"

    def total(self, order: Order) -> str:
        """Return what is to be paid."""
        return money_text(order.total_minor, order.currency)

    def captured(self, order: Order) -> str:
        """Return what was paid."""
        return money_text(order.captured_minor, order.currency)

    def refunded(self, order: Order) -> str:
        """Return what went back."""
        return money_text(order.refunded_minor, order.currency)

    def ship_to(self, order: Order) -> str:
        """Return where the goods go."""
        return _address(order.shipping_address)

    def bill_to(self, order: Order) -> str:
        """Return where the invoice goes."""
        return _address(order.billing_address)


def _panels(order_id: UUID) -> Iterable[Panel]:
    yield _lines(order_id)
    yield _money(order_id)
    for dotted in settings.ORDER_PANELS:
        panel: OrderPanel = import_string(dotted)
        yield panel(order_id=order_id)
    yield _timeline(order_id)


def _found_elsewhere(text: str) -> list[UUID]:
    found: list[UUID] = []
    for dotted in settings.ORDER_SEARCHES:
        search: OrderSearch = import_string(dotted)
        found.extend(search(text=text))
    return found


def _lines(order_id: UUID) -> Panel:
    lines = Line.objects.filter(order_id=order_id).select_related("order")
    return Panel(
        title="Lines",
        columns=("SKU", "Article", "Quantity", "Unit price", "Discount", "Tax", "Line total"),
        rows=tuple(
            Row(
                cells=(
                    line.sku,
                    line.name,
                    str(line.quantity),
                    *(
                        money_text(minor, line.order.currency)
                        for minor in (
                            line.unit_price_minor,
                            line.discount_minor,
                            line.tax_minor,
                            line.line_total_minor,
                        )
                    ),
                )
            )
            for line in lines
        ),
    )


def _money(order_id: UUID) -> Panel:
    return Panel(
        title="Money received",
        columns=("At (UTC)", "Payment", "Amount", "Of it due back"),
        rows=tuple(
            Row(
                cells=(
                    instant_text(capture.at),
                    str(capture.pk),
                    money_text(capture.amount_minor, capture.currency),
                    money_text(capture.due_back_minor, capture.currency),
                )
            )
            for capture in Capture.objects.filter(order_id=order_id)
        ),
    )


def _timeline(order_id: UUID) -> Panel:
    return Panel(
        title="Timeline",
        columns=("At (UTC)", "What", "Detail"),
        rows=tuple(
            Row(cells=(instant_text(entry.at), entry.type, entry.detail))
            for entry in Entry.objects.filter(order_id=order_id)
        ),
    )


def _table(panel: Panel, request: HttpRequest) -> dict[str, Any]:
    """Return a panel as unfold's table component takes it: links as anchors, actions as forms in a last column."""
    with_actions = any(row.actions for row in panel.rows)
    rows = []
    for row in panel.rows:
        cells = [_cell(cell) for cell in row.cells]
        if with_actions:
            context = {"offered": row.actions, "next": request.get_full_path(), "in_row": True, "size": "xs"}
            cells.append(render_to_string("kernel/actions.html", context, request=request))
        rows.append(cells)
    headers = [*panel.columns, *([""] if with_actions else [])]
    return {"title": panel.title, "table": {"headers": headers, "rows": rows}}


def _cell(cell: str | Link) -> str:
    if isinstance(cell, Link):
        return format_html('<a class="text-primary-600 dark:text-primary-500" href="{}">{}</a>', cell.url, cell.text)
    return cell


def _address(address: dict[str, str]) -> str:
    parts = ("name", "line1", "line2", "postal_code", "city", "region", "country")
    return ", ".join(address[part] for part in parts if address.get(part))
