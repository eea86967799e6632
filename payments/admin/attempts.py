"""Attempts: money and history to be read only; what may be done is asked of the gateway."""

from typing import ClassVar
from uuid import UUID

from django.conf import settings
from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import URLPattern, reverse
from unfold.decorators import display

from payments import services
from payments.admin.gateways import BY_GATEWAY, GatewayAdmin, HistoryInline, InReview
from payments.admin.giving_back import refund_act, refund_url
from payments.models import Attempt, Callback, Move
from payments.states import OPEN, AttemptStatus, Source
from shop.kernel.admin import instant_text, money_text
from shop.kernel.auth.dto import Caller
from shop.kernel.clock import utc_now
from shop.kernel.panels import Action, Link, Panel, Row

_STATUS_COLOURS = {"succeeded": "success", "failed": "danger", "pending": "info", "unknown": "warning"}

_MONEY = ["asked_for", "captured_money", "on_its_way_back", "given_back"]


def _attempt_acts(attempt: Attempt) -> tuple[Action, ...]:
    acts = []
    if attempt.status != AttemptStatus.SUCCEEDED and (attempt.session_id or attempt.status in OPEN):
        acts.append(Action("Ask the gateway now", reverse("admin:payments_attempt_ask", args=[attempt.pk])))
    if attempt.status in OPEN and not attempt.needs_review:
        acts.append(Action("Cancel", reverse("admin:payments_attempt_cancel", args=[attempt.pk])))
    if attempt.needs_review or (attempt.status in OPEN and attempt.expires_at <= utc_now()):
        acts.append(Action("Give up", reverse("admin:payments_attempt_give_up", args=[attempt.pk])))
    return (*acts, *refund_act(attempt))


class MoveInline(HistoryInline):
    """The history of an attempt."""

    model = Move


@admin.register(Attempt)
class AttemptAdmin(GatewayAdmin):
    """An attempt with all that happened to it."""

    list_display: ClassVar = ["reference", "gateway", "status_label", "asked_for", "review_reason", "begun"]
    list_filter: ClassVar = [InReview, "status", BY_GATEWAY]
    search_fields: ClassVar = ["reference"]
    search_help_text = "Our reference, or the gateway's session"
    inlines: ClassVar = [MoveInline]
    fieldsets: ClassVar = [
        (
            None,
            {"fields": ["reference", "status_label", "review_reason", "failure_code", *_MONEY]},
        ),
        ("Gateway", {"fields": ["gateway", "session_id", "redirect_url", "return_url", "callbacks"]}),
        ("Time", {"fields": ["begun", "moved_at", "expires_at", "next_poll_at", "polls", "close_wanted"]}),
        ("Order", {"fields": ["order", "user_id"]}),
    ]

    def get_urls(self) -> list[URLPattern]:
        """Add the addresses of what may be done."""
        acts = [self.acting("ask", _ask), self.acting("cancel", _cancel), self.acting("give_up", _give_up)]
        return [refund_url(self), *acts, *super().get_urls()]

    def offered(self, row: Attempt) -> tuple[Action, ...]:
        """Ask the gateway while it may know more; call off what is under way; give up; give back what came."""
        return _attempt_acts(row)

    def found(self, rows: QuerySet[Attempt], text: str) -> QuerySet[Attempt]:
        """Find by our reference or the gateway's."""
        return rows.filter(Q(reference=text) | Q(gateway__in=list(settings.GATEWAYS), session_id=text))

    @display(description="status", label=_STATUS_COLOURS)
    def status_label(self, attempt: Attempt) -> str:
        """Return where the attempt stands."""
        return attempt.status

    @display(description="amount")
    def asked_for(self, attempt: Attempt) -> str:
        """Return what the attempt is to collect."""
        return money_text(attempt.amount, attempt.currency)

    @display(description="captured")
    def captured_money(self, attempt: Attempt) -> str:
        """Return what it collected."""
        return money_text(attempt.captured, attempt.currency)

    @display(description="on its way back")
    def on_its_way_back(self, attempt: Attempt) -> str:
        """Return what refunds hold that is not back yet."""
        return money_text(attempt.refund_held - attempt.refunded, attempt.currency)

    @display(description="given back")
    def given_back(self, attempt: Attempt) -> str:
        """Return what went back."""
        return money_text(attempt.refunded, attempt.currency)

    @display(description="begun (UTC)")
    def begun(self, attempt: Attempt) -> str:
        """Return when the attempt was made."""
        return instant_text(attempt.created_at)

    @display(description="order")
    def order(self, attempt: Attempt) -> str:
        """Return the order's number and id."""
        return f"{attempt.payable.number} ({attempt.payable_id})"

    def callbacks(self, attempt: Attempt) -> str:
        """Return what the gateway has told of this attempt."""
        told = Callback.objects.filter(gateway=attempt.gateway, session_id=attempt.session_id).exclude(session_id="")
        return ", ".join(f"{callback.type} ({callback.state})" for callback in told[:50]) or "none"


def attempts_panel(*, order_id: UUID) -> Panel:
    """Describe the attempts to collect the order's money."""
    attempts = Attempt.objects.filter(payable_id=order_id)
    return Panel(
        title="Payments",
        columns=("Begun (UTC)", "Reference", "Gateway", "Status", "Amount", "Given back", "Failure", "Review"),
        rows=tuple(
            Row(
                cells=(
                    instant_text(attempt.created_at),
                    Link(attempt.reference, reverse("admin:payments_attempt_change", args=[attempt.pk])),
                    attempt.gateway,
                    attempt.status,
                    money_text(attempt.amount, attempt.currency),
                    money_text(attempt.refunded, attempt.currency),
                    attempt.failure_code,
                    attempt.review_reason,
                ),
                actions=_attempt_acts(attempt),
            )
            for attempt in attempts
        ),
    )


def _ask(_request: HttpRequest, attempt: Attempt) -> str:
    settlement = services.settle(attempt_id=attempt.pk, source=Source.STAFF, now=utc_now())
    return f"The gateway was asked: {settlement.outcome}, now {settlement.status}."


def _cancel(request: HttpRequest, attempt: Attempt) -> str:
    caller = Caller(id=UUID(str(request.user.pk)), guest=False, staff=True)
    cancelled = services.cancel_attempt(caller=caller, payment_id=attempt.pk, now=utc_now())
    return f"Closed at the gateway, now {cancelled.status}."


def _give_up(_request: HttpRequest, attempt: Attempt) -> str:
    ended = services.give_up_payment(payment_id=attempt.pk, now=utc_now())
    return f"Given up, now {ended.status}. What the gateway took for it has to be given back there."
