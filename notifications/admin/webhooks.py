"""Webhooks for support staff: who is told, what was told, what came back, and telling it again."""

import json
from functools import partial
from typing import ClassVar
from uuid import UUID

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import URLPattern, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.decorators import display

from notifications.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from notifications.services import webhooks
from notifications.states import DeliveryState, DisabledBecause, EndpointState
from shop.kernel.admin import ActingAdmin, LongList, filter_by, instant_text
from shop.kernel.clock import utc_now
from shop.kernel.ids import as_uuid
from shop.kernel.panels import Action, Link, Panel, Row

_ENDPOINT_COLOURS = {
    "active": "success",
    "paused": "warning",
    "gone": "danger",
    "failing": "danger",
    "by_hand": "info",
    "removed": "info",
}
_DELIVERY_COLOURS = {"delivered": "success", "pending": "info", "dead": "danger"}
_MOST_IN_PANEL = 50


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(LongList, ActingAdmin):
    """An endpoint, and the ways to try, disable and enable it. Its secret is shown to nobody."""

    list_display: ClassVar = ["url", "standing", "hears", "failures", "created_by", "made"]
    list_filter: ClassVar = ["state", "disabled_because"]
    search_fields: ClassVar = ["url"]
    search_help_text = "The whole address, or the id of an endpoint"
    fieldsets: ClassVar = [
        (None, {"fields": ["url", "description", "hears", "standing", "made", "created_by"]}),
        ("How it fares", {"fields": ["failures", "failing_since", "paused_until", "disabled_at", "served_at"]}),
        ("Secret", {"fields": ["secret_since", "previous_until"]}),
        ("Deliveries", {"fields": ["deliveries"]}),
    ]

    def get_urls(self) -> list[URLPattern]:
        """Add the addresses of what may be done."""
        return [
            self.acting("ping", _ping),
            self.acting("disable", _disable),
            self.acting("enable", _enable),
            *super().get_urls(),
        ]

    def offered(self, row: WebhookEndpoint) -> tuple[Action, ...]:
        """Try and disable what is active; enable what is not, or say that its end is known."""

        def action(label: str, name: str) -> Action:
            return Action(label, reverse(f"admin:notifications_webhookendpoint_{name}", args=[row.pk]))

        if row.state == EndpointState.ACTIVE:
            return action("Send a ping", "ping"), action("Disable", "disable")
        if row.state == EndpointState.REMOVED:
            return ()
        enable = action("Enable", "enable")
        seen = row.disabled_because == DisabledBecause.BY_HAND
        return (enable,) if seen else (enable, action("Leave it disabled", "disable"))

    def found(self, rows: QuerySet[WebhookEndpoint], text: str) -> QuerySet[WebhookEndpoint]:
        """Find by address or id."""
        row_id = as_uuid(text)
        return rows.filter(pk=row_id) if row_id else rows.filter(url=text)

    @display(description="state", label=_ENDPOINT_COLOURS)
    def standing(self, endpoint: WebhookEndpoint) -> str:
        """Return what the endpoint is, and why it is disabled."""
        if endpoint.state == EndpointState.ACTIVE and endpoint.paused_until and endpoint.paused_until > utc_now():
            return "paused"
        return endpoint.disabled_because or endpoint.state

    @display(description="events")
    def hears(self, endpoint: WebhookEndpoint) -> str:
        """Return the patterns of what it hears."""
        return ", ".join(endpoint.events)

    @display(description="made (UTC)")
    def made(self, endpoint: WebhookEndpoint) -> str:
        """Return since when it is known."""
        return instant_text(endpoint.created_at)

    @display(description="")
    def deliveries(self, endpoint: WebhookEndpoint) -> SafeString:
        """Return the way to what was told."""
        page = reverse("admin:notifications_webhookdelivery_changelist")
        return format_html('<a class="underline" href="{}?q={}">What was told</a>', page, endpoint.pk)


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(LongList, ActingAdmin):
    """A delivery with its attempts, and the way to make it again."""

    list_display: ClassVar = ["type", "state_label", "endpoint", "attempts", "last_status", "written"]
    list_filter: ClassVar = ["state", filter_by("type", words=lambda: (*webhooks.public_types(), webhooks.PING))]
    list_select_related: ClassVar = ["endpoint"]
    search_fields: ClassVar = ["event_id"]
    search_help_text = "The id of a delivery, event (webhook-id), order or endpoint"
    actions: ClassVar = ["redeliver_chosen"]
    fieldsets: ClassVar = [
        (None, {"fields": ["type", "endpoint", "state_label", "event_id", "about", "written", "settled_at"]}),
        ("Sending", {"fields": ["attempts", "next_attempt_at", "last_status", "last_error", "redeliveries"]}),
        ("What is sent", {"fields": ["message"]}),
        ("Attempts", {"fields": ["attempts_made"]}),
    ]

    def get_urls(self) -> list[URLPattern]:
        """Add the address that makes a delivery again."""
        return [self.acting("redeliver", _redeliver), *super().get_urls()]

    def offered(self, row: WebhookDelivery) -> tuple[Action, ...]:
        """Make it again, or now, while what was sent is kept."""
        return _acts(row)

    def found(self, rows: QuerySet[WebhookDelivery], text: str) -> QuerySet[WebhookDelivery]:
        """Find by the ids a person has at hand."""
        row_id = as_uuid(text)
        if row_id is None:
            return rows.none()
        by_id = rows.filter(pk=row_id) | rows.filter(event_id=row_id) | rows.filter(subject=row_id)
        return by_id | rows.filter(endpoint_id=row_id)

    @admin.action(description="Deliver again", permissions=["act"])
    def redeliver_chosen(self, request: HttpRequest, queryset: QuerySet[WebhookDelivery]) -> None:
        """Make the chosen deliveries again; those that cannot be are named."""
        rows = list(queryset)
        left = [str(row) for row in rows if not self.carried_out(request, row, partial(_redeliver, request, row))]
        self.message_user(request, f"{len(rows) - len(left)} are delivered again.", messages.SUCCESS)
        if left:
            self.message_user(request, f"Left alone: {', '.join(left)}.", messages.WARNING)

    @display(description="state", label=_DELIVERY_COLOURS)
    def state_label(self, delivery: WebhookDelivery) -> str:
        """Return where the delivery stands."""
        return delivery.state

    @display(description="written (UTC)")
    def written(self, delivery: WebhookDelivery) -> str:
        """Return when the event was handled."""
        return instant_text(delivery.created_at)

    def about(self, delivery: WebhookDelivery) -> SafeString | str:
        """Return the order, leading to its page."""
        if delivery.type == webhooks.PING:
            return "a ping"
        page = reverse("admin:orders_order_change", args=[delivery.subject])
        return format_html('<a href="{}">order {}</a>', page, delivery.subject)

    @display(description="")
    def message(self, delivery: WebhookDelivery) -> SafeString | str:
        """Return the body, laid out for people."""
        if not delivery.body:
            return "It is not kept any more."
        laid_out = json.dumps(json.loads(delivery.body), indent=2, ensure_ascii=False)
        return format_html('<pre style="white-space:pre-wrap">{}</pre>', laid_out)

    @display(description="")
    def attempts_made(self, delivery: WebhookDelivery) -> SafeString | str:
        """Return what came back, attempt by attempt."""
        made = WebhookAttempt.objects.filter(delivery=delivery).order_by("id")
        if not made:
            return "None yet, or they are not kept any more."
        return format_html_join(
            "",
            '<p class="mb-2 font-semibold">{} · {} · {} ms</p><pre class="mb-4" style="white-space:pre-wrap">{}</pre>',
            (
                (
                    instant_text(attempt.at),
                    attempt.status or attempt.error,
                    attempt.duration_ms,
                    attempt.answer or "(no body)",
                )
                for attempt in made
            ),
        )


def webhooks_panel(*, order_id: UUID) -> Panel:
    """Describe what merchants' systems were told about the order."""
    told = WebhookDelivery.objects.filter(subject=order_id).select_related("endpoint").order_by("id")
    return Panel(
        title="Webhooks",
        columns=("Written (UTC)", "Event", "To", "State", "Attempts", "Last error"),
        rows=tuple(
            Row(
                cells=(
                    instant_text(delivery.created_at),
                    Link(delivery.type, reverse("admin:notifications_webhookdelivery_change", args=[delivery.pk])),
                    delivery.endpoint.url,
                    delivery.state,
                    str(delivery.attempts),
                    delivery.last_error,
                ),
                actions=_acts(delivery),
            )
            for delivery in told[:_MOST_IN_PANEL]
        ),
    )


def _acts(delivery: WebhookDelivery) -> tuple[Action, ...]:
    if not delivery.body or delivery.endpoint.state != EndpointState.ACTIVE:
        return ()
    label = "Deliver now" if delivery.state == DeliveryState.PENDING else "Deliver again"
    return (Action(label, reverse("admin:notifications_webhookdelivery_redeliver", args=[delivery.pk])),)


def _redeliver(_request: HttpRequest, delivery: WebhookDelivery) -> str:
    webhooks.redeliver(delivery_id=delivery.pk, now=utc_now())
    return f"Delivered again; it was {delivery.state}."


def _ping(_request: HttpRequest, endpoint: WebhookEndpoint) -> str:
    ping = webhooks.ping_endpoint(endpoint_id=endpoint.pk, now=utc_now())
    return f"A ping is sent: {ping.event_id}."


def _disable(_request: HttpRequest, endpoint: WebhookEndpoint) -> str:
    webhooks.disable_endpoint(endpoint_id=endpoint.pk, now=utc_now())
    return "Disabled; what waits goes on waiting."


def _enable(_request: HttpRequest, endpoint: WebhookEndpoint) -> str:
    webhooks.enable_endpoint(endpoint_id=endpoint.pk)
    return "Enabled; what waits is sent now."
