"""Payments for support staff: money and history to be read only; what may be done is asked of the gateway."""

from collections.abc import Callable
from typing import Any, ClassVar
from uuid import UUID

from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.formats import date_format
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import display
from unfold.paginator import InfinitePaginator

from payments import services
from payments.models import Attempt, Callback, Move
from payments.ports import GatewayRefused, GatewayUnavailable
from payments.states import OPEN, AttemptStatus, CallbackState, Source
from shop.kernel.auth.dto import Caller
from shop.kernel.clock import utc_now
from shop.kernel.errors import Refusal
from shop.kernel.ids import as_uuid
from shop.kernel.money import Money
from shop.kernel.panels import Action, Link, Panel, Row, way_back

_INSTANT = "Y-m-d H:i:s"
_STUCK = frozenset({CallbackState.PARKED, CallbackState.QUARANTINED, CallbackState.DEAD})
_STATUS_COLOURS = {"succeeded": "success", "failed": "danger", "pending": "info", "unknown": "warning"}
_STATE_COLOURS = {"applied": "success", "parked": "warning", "quarantined": "danger", "dead": "danger"}


def _attempt_acts(attempt: Attempt) -> tuple[Action, ...]:
    acts = []
    if attempt.status != AttemptStatus.SUCCEEDED and (attempt.session_id or attempt.status in OPEN):
        acts.append(Action("Ask the gateway now", reverse("admin:payments_attempt_ask", args=[attempt.pk])))
    if attempt.status in OPEN and not attempt.needs_review:
        acts.append(Action("Cancel", reverse("admin:payments_attempt_cancel", args=[attempt.pk])))
    return tuple(acts)


def _callback_acts(callback: Callback) -> tuple[Action, ...]:
    if callback.state not in _STUCK:
        return ()
    return (Action("Retry", reverse("admin:payments_callback_retry", args=[callback.pk])),)


def _acts(row: Attempt | Callback) -> tuple[Action, ...]:
    return _attempt_acts(row) if isinstance(row, Attempt) else _callback_acts(row)


class _ReadOnly(ModelAdmin):
    """A page that shows; rows come from payments themselves and stay."""

    ordering: ClassVar = ["-id"]
    # Sorting by another column, or counting all rows, would cost more with every payment ever taken.
    sortable_by: ClassVar[list[str]] = []
    paginator = InfinitePaginator
    show_full_result_count = False
    list_per_page = 50
    change_form_outer_after_template = "payments/acts.html"

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nothing is added by hand."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nothing is edited by hand."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nothing is thrown away."""
        return False

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the row, and below it what may be done."""
        row = self.get_object(request, object_id)
        acts = _acts(row) if row is not None else ()
        context = {"acts": acts, "next": request.get_full_path(), **(extra_context or {})}
        response: HttpResponse = super().change_view(request, object_id, form_url, context)
        return response

    def acting(self, name: str, act: Callable[[UUID, HttpRequest], str]) -> URLPattern:
        """Return the address that does `act` on a POST by somebody who may change such rows."""

        def view(request: HttpRequest, object_id: str) -> HttpResponse:
            return self._act(request, object_id, act)

        named = f"{self.opts.app_label}_{self.opts.model_name}_{name}"
        address: URLPattern = path(f"<str:object_id>/{name}/", self.admin_site.admin_view(view), name=named)
        return address

    def _act(self, request: HttpRequest, object_id: str, act: Callable[[UUID, HttpRequest], str]) -> HttpResponse:
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not request.user.has_perm(f"{self.opts.app_label}.change_{self.opts.model_name}"):
            raise PermissionDenied
        row_id = as_uuid(object_id)
        row = self.get_object(request, object_id) if row_id else None
        if row is None or row_id is None:
            raise Http404
        try:
            done = act(row_id, request)
        except Refusal as refusal:
            self.message_user(request, refusal.detail, messages.ERROR)
        except (GatewayUnavailable, GatewayRefused) as error:
            self.message_user(request, f"The gateway gave no answer: {error}.", messages.ERROR)
        else:
            self.log_change(request, row, done)
            self.message_user(request, done, messages.SUCCESS)
        page = reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[row_id])
        return HttpResponseRedirect(way_back(request, otherwise=page))


class MoveInline(TabularInline):
    """The history of an attempt."""

    model = Move
    fields: ClassVar = ["at", "from_status", "to_status", "source", "why"]
    readonly_fields: ClassVar = fields
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """History is written by moves only."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """History is not edited."""
        return False


@admin.register(Attempt)
class AttemptAdmin(_ReadOnly):
    """An attempt with all that happened to it."""

    list_display: ClassVar = ["reference", "gateway", "status_label", "asked_for", "review_reason", "begun"]
    list_filter: ClassVar = ["status", "gateway"]
    search_fields: ClassVar = ["reference"]
    search_help_text = "Our reference, or the gateway's session"
    inlines: ClassVar = [MoveInline]
    fieldsets: ClassVar = [
        (
            None,
            {"fields": ["reference", "status_label", "review_reason", "failure_code", "asked_for", "captured_money"]},
        ),
        ("Gateway", {"fields": ["gateway", "session_id", "redirect_url", "return_url", "callbacks"]}),
        ("Time", {"fields": ["begun", "moved_at", "expires_at", "next_poll_at", "polls", "close_wanted"]}),
        ("Order", {"fields": ["order", "user_id"]}),
    ]

    def get_urls(self) -> list[URLPattern]:
        """Add the addresses of what may be done."""
        return [self.acting("ask", _ask), self.acting("cancel", _cancel), *super().get_urls()]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Attempt], search_term: str
    ) -> tuple[QuerySet[Attempt], bool]:
        """Find exactly, by an index."""
        text = search_term.strip()
        if not text:
            return queryset, False
        return queryset.filter(Q(reference=text) | Q(gateway__in=list(settings.GATEWAYS), session_id=text)), False

    @display(description="status", label=_STATUS_COLOURS)
    def status_label(self, attempt: Attempt) -> str:
        """Return where the attempt stands."""
        return attempt.status

    @display(description="amount")
    def asked_for(self, attempt: Attempt) -> str:
        """Return what the attempt is to collect."""
        return _amount(attempt.amount, attempt.currency)

    @display(description="captured")
    def captured_money(self, attempt: Attempt) -> str:
        """Return what it collected."""
        return _amount(attempt.captured, attempt.currency)

    @display(description="begun (UTC)")
    def begun(self, attempt: Attempt) -> str:
        """Return when the attempt was made."""
        return date_format(attempt.created_at, _INSTANT)

    @display(description="order")
    def order(self, attempt: Attempt) -> str:
        """Return the order's number and id."""
        return f"{attempt.payable.number} ({attempt.payable_id})"

    def callbacks(self, attempt: Attempt) -> str:
        """Return what the gateway has told of this attempt."""
        told = Callback.objects.filter(gateway=attempt.gateway, session_id=attempt.session_id).exclude(session_id="")
        return ", ".join(f"{callback.type} ({callback.state})" for callback in told[:50]) or "none"


@admin.register(Callback)
class CallbackAdmin(_ReadOnly):
    """A gateway's message as it came."""

    list_display: ClassVar = ["event_id", "gateway", "type", "state_label", "attempts", "received"]
    list_filter: ClassVar = ["state", "gateway"]
    search_fields: ClassVar = ["event_id"]
    search_help_text = "The gateway's event or session"
    fieldsets: ClassVar = [
        (None, {"fields": ["event_id", "gateway", "type", "session_id", "state_label", "received"]}),
        ("Processing", {"fields": ["attempts", "next_attempt_at", "last_error"]}),
        ("As it came", {"fields": ["headers", "body_text"]}),
    ]

    def get_urls(self) -> list[URLPattern]:
        """Add the addresses of what may be done."""
        return [self.acting("retry", _retry), *super().get_urls()]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Callback], search_term: str
    ) -> tuple[QuerySet[Callback], bool]:
        """Find exactly, by an index."""
        text = search_term.strip()
        if not text:
            return queryset, False
        found = Q(gateway__in=list(settings.GATEWAYS), event_id=text) | Q(
            gateway__in=list(settings.GATEWAYS), session_id=text
        )
        return queryset.filter(found), False

    @display(description="state", label=_STATE_COLOURS)
    def state_label(self, callback: Callback) -> str:
        """Return what became of the message."""
        return callback.state

    @display(description="received (UTC)")
    def received(self, callback: Callback) -> str:
        """Return when it came."""
        return date_format(callback.received_at, _INSTANT)

    @display(description="body")
    def body_text(self, callback: Callback) -> str:
        """Return the body; it was verified, so it is text."""
        return bytes(callback.body).decode(errors="replace")


def attempts_panel(*, order_id: UUID) -> Panel:
    """Describe the attempts to collect the order's money."""
    attempts = Attempt.objects.filter(payable_id=order_id)
    return Panel(
        title="Payments",
        columns=("Begun (UTC)", "Reference", "Gateway", "Status", "Amount", "Failure", "Review"),
        rows=tuple(
            Row(
                cells=(
                    date_format(attempt.created_at, _INSTANT),
                    Link(attempt.reference, reverse("admin:payments_attempt_change", args=[attempt.pk])),
                    attempt.gateway,
                    attempt.status,
                    _amount(attempt.amount, attempt.currency),
                    attempt.failure_code,
                    attempt.review_reason,
                ),
                actions=_attempt_acts(attempt),
            )
            for attempt in attempts
        ),
    )


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
                    date_format(callback.received_at, _INSTANT),
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


def _ask(attempt_id: UUID, _request: HttpRequest) -> str:
    settlement = services.settle(attempt_id=attempt_id, source=Source.STAFF, now=utc_now())
    return f"The gateway was asked: {settlement.outcome}, now {settlement.status}."


def _cancel(attempt_id: UUID, request: HttpRequest) -> str:
    caller = Caller(id=UUID(str(request.user.pk)), guest=False, staff=True)
    cancelled = services.cancel_attempt(caller=caller, payment_id=attempt_id, now=utc_now())
    return f"Closed at the gateway, now {cancelled.status}."


def _retry(callback_id: UUID, _request: HttpRequest) -> str:
    services.retry_callback(callback_id=callback_id, now=utc_now())
    return "The callback is processed again."


def _amount(minor: int, currency: str) -> str:
    return f"{Money(minor, currency).major()} {currency}"
