"""Callbacks: what gateways told, as it came."""

from typing import ClassVar
from uuid import UUID

from django.conf import settings
from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import URLPattern, reverse
from unfold.decorators import display

from payments import services
from payments.admin.gateways import BY_GATEWAY, GatewayAdmin
from payments.models import Attempt, Callback
from payments.states import CallbackState
from shop.kernel.admin import instant_text
from shop.kernel.clock import utc_now
from shop.kernel.panels import Action, Link, Panel, Row

_STUCK = frozenset({CallbackState.PARKED, CallbackState.QUARANTINED, CallbackState.DEAD})
_STATE_COLOURS = {"applied": "success", "parked": "warning", "quarantined": "danger", "dead": "danger"}


def _callback_acts(callback: Callback) -> tuple[Action, ...]:
    if callback.state not in _STUCK:
        return ()
    return (
        Action("Retry", reverse("admin:payments_callback_retry", args=[callback.pk])),
        Action("Dismiss", reverse("admin:payments_callback_dismiss", args=[callback.pk])),
    )


@admin.register(Callback)
class CallbackAdmin(GatewayAdmin):
    """A gateway's message as it came."""

    list_display: ClassVar = ["event_id", "gateway", "type", "state_label", "attempts", "received"]
    list_filter: ClassVar = ["state", BY_GATEWAY]
    search_fields: ClassVar = ["event_id"]
    search_help_text = "The gateway's event or session"
    fieldsets: ClassVar = [
        (None, {"fields": ["event_id", "gateway", "type", "session_id", "state_label", "received"]}),
        ("Processing", {"fields": ["attempts", "next_attempt_at", "last_error"]}),
        ("As it came", {"fields": ["headers", "body_text"]}),
    ]

    def get_urls(self) -> list[URLPattern]:
        """Add the addresses of what may be done."""
        return [self.acting("retry", _retry), self.acting("dismiss", _dismiss), *super().get_urls()]

    def offered(self, row: Callback) -> tuple[Action, ...]:
        """Retry what is stuck, or wave it through."""
        return _callback_acts(row)

    def found(self, rows: QuerySet[Callback], text: str) -> QuerySet[Callback]:
        """Find by the gateway's event or session."""
        return rows.filter(Q(event_id=text) | Q(session_id=text), gateway__in=list(settings.GATEWAYS))

    @display(description="state", label=_STATE_COLOURS)
    def state_label(self, callback: Callback) -> str:
        """Return what became of the message."""
        return callback.state

    @display(description="received (UTC)")
    def received(self, callback: Callback) -> str:
        """Return when it came."""
        return instant_text(callback.received_at)

    @display(description="body")
    def body_text(self, callback: Callback) -> str:
        """Return the body; it was verified, so it is text. After a while only the row is kept."""
        return bytes(callback.body).decode(errors="replace") or "forgotten"


def callbacks_panel(*, order_id: UUID) -> Panel:
    """Describe what gateways told of the order's payments."""
    told: list[Callback] = []
    for attempt in Attempt.objects.filter(payable_id=order_id).exclude(session_id=""):
        told.extend(Callback.objects.filter(gateway=attempt.gateway, session_id=attempt.session_id))
    return Panel(
        title="Callbacks",
        columns=("Received (UTC)", "Event", "Type", "State", "Tries", "Last error"),
        rows=tuple(
            Row(
                cells=(
                    instant_text(callback.received_at),
                    Link(callback.event_id, reverse("admin:payments_callback_change", args=[callback.pk])),
                    callback.type,
                    callback.state,
                    str(callback.attempts),
                    callback.last_error,
                ),
                actions=_callback_acts(callback),
            )
            for callback in told
        ),
    )


def _dismiss(_request: HttpRequest, callback: Callback) -> str:
    services.dismiss_callback(callback_id=callback.pk)
    return "The callback is waved through; nothing was booked for it."


def _retry(_request: HttpRequest, callback: Callback) -> str:
    services.retry_callback(callback_id=callback.pk, now=utc_now())
    return "The callback is processed again."
