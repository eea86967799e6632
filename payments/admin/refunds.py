"""Refunds: money on its way back, to be read only; what may be done is asked of the gateway."""

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
from payments.admin.giving_back import outcome
from payments.models import Refund, RefundMove
from payments.states import RefundStatus, Source
from shop.kernel.admin import instant_text, money_text
from shop.kernel.clock import utc_now
from shop.kernel.ids import as_uuid
from shop.kernel.money import Money
from shop.kernel.panels import Action, Link, Panel, Row

_COLOURS = {
    "succeeded": "success",
    "rejected": "danger",
    "reversed": "danger",
    "unknown": "warning",
    "submitted": "info",
}
# The shopper does not have the money, and nothing holds it any more.
_UNDONE = frozenset({RefundStatus.REJECTED, RefundStatus.REVERSED})


def _acts(refund: Refund) -> tuple[Action, ...]:
    if refund.status in _UNDONE and not refund.needs_review:
        return (Action("Give back once more", reverse("admin:payments_refund_again", args=[refund.pk])),)
    ask = Action("Ask the gateway now", reverse("admin:payments_refund_ask", args=[refund.pk]))
    if not refund.needs_review:
        return (ask,)
    return (ask, Action("Give up", reverse("admin:payments_refund_give_up", args=[refund.pk])))


class RefundMoveInline(HistoryInline):
    """The history of a refund."""

    model = RefundMove


@admin.register(Refund)
class RefundAdmin(GatewayAdmin):
    """A refund with all that happened to it."""

    list_display: ClassVar = ["asked_for", "status_label", "cause", "gateway", "review_reason", "asked"]
    list_filter: ClassVar = [InReview, "status", "cause", BY_GATEWAY]
    list_select_related: ClassVar = ["attempt"]
    search_fields: ClassVar = ["gateway_refund_id"]
    search_help_text = "Our id, the gateway's refund, or the payment's reference"
    inlines: ClassVar = [RefundMoveInline]
    fieldsets: ClassVar = [
        (None, {"fields": ["asked_for", "status_label", "cause", "reason", "failure_code", "review_reason"]}),
        ("Gateway", {"fields": ["gateway", "gateway_refund_id", "payment"]}),
        ("Time", {"fields": ["asked", "moved_at", "next_try_at", "tries"]}),
    ]

    def get_urls(self) -> list[URLPattern]:
        """Add the addresses of what may be done."""
        acts = [self.acting("ask", _ask), self.acting("again", _again), self.acting("give_up", _give_up)]
        return [*acts, *super().get_urls()]

    def offered(self, row: Refund) -> tuple[Action, ...]:
        """Ask the gateway while it may know more; give up; begin anew what came to nothing."""
        return _acts(row)

    def found(self, rows: QuerySet[Refund], text: str) -> QuerySet[Refund]:
        """Find by our id, the gateway's, or the payment's reference."""
        known = Q(gateway__in=list(settings.GATEWAYS), gateway_refund_id=text) | Q(attempt__reference=text)
        if refund_id := as_uuid(text):
            known |= Q(pk=refund_id)
        return rows.filter(known)

    @display(description="status", label=_COLOURS)
    def status_label(self, refund: Refund) -> str:
        """Return where the refund stands."""
        return refund.status

    @display(description="amount")
    def asked_for(self, refund: Refund) -> str:
        """Return what is to go back."""
        return money_text(refund.amount, refund.currency)

    @display(description="asked for (UTC)")
    def asked(self, refund: Refund) -> str:
        """Return when the refund was asked for."""
        return instant_text(refund.created_at)

    @display(description="payment")
    def payment(self, refund: Refund) -> str:
        """Return whose money it is."""
        return refund.attempt.reference


def refunds_panel(*, order_id: UUID) -> Panel:
    """Describe the money of the order that went back or is on its way."""
    refunds = Refund.objects.filter(attempt__payable_id=order_id).select_related("attempt")
    return Panel(
        title="Refunds",
        columns=("Asked for (UTC)", "Amount", "Of payment", "Why", "Status", "Failure", "Review"),
        rows=tuple(
            Row(
                cells=(
                    instant_text(refund.created_at),
                    Link(
                        money_text(refund.amount, refund.currency),
                        reverse("admin:payments_refund_change", args=[refund.pk]),
                    ),
                    refund.attempt.reference,
                    f"{refund.cause}: {refund.reason}" if refund.reason else refund.cause,
                    refund.status,
                    refund.failure_code,
                    refund.review_reason,
                ),
                actions=_acts(refund),
            )
            for refund in refunds
        ),
    )


def _ask(_request: HttpRequest, refund: Refund) -> str:
    settlement = services.settle_refund(refund_id=refund.pk, source=Source.STAFF, now=utc_now())
    return f"The gateway was asked: {settlement.outcome}, now {settlement.status}."


def _give_up(_request: HttpRequest, refund: Refund) -> str:
    ended = services.give_up_refund(refund_id=refund.pk, now=utc_now())
    return f"Given up, now {ended.status}."


def _again(_request: HttpRequest, refund: Refund) -> str:
    """Give the same amount back once more, or what is left; asked twice about the same refund, it is done once."""
    if refund.status not in _UNDONE:
        return f"Nothing to do: this refund is {refund.status}."
    fresh = services.give_back_again(refund_id=refund.pk, now=utc_now())
    wanted = Money(refund.amount, refund.currency)
    less = f" Of {wanted} only this was left." if fresh.amount < wanted else ""
    return outcome(fresh) + less
