"""Findings: in what the books differ, what that means, and what can be done about it."""

from functools import partial
from typing import ClassVar
from uuid import UUID

from django.conf import settings
from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import URLPattern, reverse
from django.utils.html import format_html
from unfold.decorators import action, display

from payments import services
from payments.admin.gateways import GatewayAdmin
from payments.models import Attempt, Finding
from payments.services.reconciliation import is_fixable
from payments.states import FindingKind, FindingState, Source
from shop.kernel.admin import filter_by, instant_text
from shop.kernel.clock import utc_now
from shop.kernel.ids import as_uuid
from shop.kernel.panels import Action, Link, Panel, Row

_K = FindingKind
_COLOURS = {"open": "danger", "fixed": "success", "gone": "info", "dismissed": "warning"}
_MEANINGS = {
    _K.PAID_UNKNOWN_HERE: "The gateway took money in a session that none of our payments has.",
    _K.PAID_UNSETTLED_HERE: "The gateway took the money, and our payment does not say so.",
    _K.UNPAID_THERE: "Our payment says paid, and the gateway does not.",
    _K.MISSING_THERE: "The gateway denies a session it gave us.",
    _K.AMOUNT_MISMATCH: "Amount or currency are not what we asked for.",
    _K.SESSION_DIFFERS: "The session bears another reference, or is of the other of test and live mode.",
    _K.DOUBLE_CHARGE: "Several payments of one order are kept, and none is on its way back.",
    _K.PAID_WITHOUT_ORDER: "Money is kept for an order that does not count as paid.",
    _K.ORDER_WITHOUT_MONEY: "An order counts as paid, and no payment covers it.",
    _K.REFUND_UNKNOWN_HERE: "The gateway gave money back that nobody here asked it to.",
    _K.REFUND_DIFFERS: "A refund stands elsewhere at the gateway than here, or is of another amount.",
    _K.REFUND_MISSING_THERE: "The gateway denies a refund it gave us.",
    _K.LEDGER_DIFFERS: "The ledger does not say what payments and refunds say.",
}
_FIXES = {
    _K.PAID_UNSETTLED_HERE: "Settle the payment",
    _K.REFUND_UNKNOWN_HERE: "Import the payment's refunds",
    _K.REFUND_DIFFERS: "Settle the payment's refunds",
    _K.DOUBLE_CHARGE: "Tell the order of its money",
    _K.PAID_WITHOUT_ORDER: "Tell the order of its money",
    _K.LEDGER_DIFFERS: "Write what is missing",
}


def _acts(finding: Finding) -> tuple[Action, ...]:
    if finding.state != FindingState.OPEN:
        return ()
    dismiss = Action("Wave through", reverse("admin:payments_finding_dismiss", args=[finding.pk]))
    if not is_fixable(finding=finding):
        return (dismiss,)
    fix = Action(_FIXES[FindingKind(finding.kind)], reverse("admin:payments_finding_fix", args=[finding.pk]))
    return (fix, dismiss)


@admin.register(Finding)
class FindingAdmin(GatewayAdmin):
    """A difference with what it is about, from the day it was found to the day it was closed."""

    list_display: ClassVar = ["kind", "state_label", "gateway", "subject", "detail", "found_first"]
    list_filter: ClassVar = [
        "state",
        "kind",
        filter_by("gateway", words=lambda: settings.GATEWAYS),
    ]
    search_fields: ClassVar = ["subject"]
    search_help_text = "An order's or a payment's id, or the gateway's session or refund"
    actions: ClassVar = ["fix_chosen"]
    fieldsets: ClassVar = [
        (None, {"fields": ["kind", "meaning", "subject", "detail", "state_label", "resolution"]}),
        ("About", {"fields": ["gateway", "payment", "order"]}),
        ("Time", {"fields": ["found_first", "seen_at", "closed_at"]}),
    ]

    def get_urls(self) -> list[URLPattern]:
        """Add the addresses of what may be done."""
        return [self.acting("fix", _fix), self.acting("dismiss", _dismiss), *super().get_urls()]

    def offered(self, row: Finding) -> tuple[Action, ...]:
        """Mend what needs no decision; wave through what a person has decided about."""
        return _acts(row)

    def found(self, rows: QuerySet[Finding], text: str) -> QuerySet[Finding]:
        """Find by whole ids only, of ours or the gateway's."""
        known = Q(state__in=list(FindingState), subject=text)
        if wanted := as_uuid(text):
            known |= Q(order_id=wanted)
        return rows.filter(known)

    @action(description="Mend what needs no decision", permissions=["act"])
    def fix_chosen(self, request: HttpRequest, queryset: QuerySet[Finding]) -> None:
        """Mend the chosen ones as far as that needs no decision."""
        fixable = [finding for finding in queryset if is_fixable(finding=finding)]
        for finding in fixable:
            if done := self.carried_out(request, finding, partial(_fix, request, finding)):
                self.message_user(request, f"{finding}: {done}", messages.SUCCESS)
        if len(fixable) < queryset.count():
            self.message_user(request, "The others need a person's decision, or are closed.", messages.WARNING)

    @display(description="state", label=_COLOURS)
    def state_label(self, finding: Finding) -> str:
        """Return what became of it."""
        return finding.state

    @display(description="found (UTC)")
    def found_first(self, finding: Finding) -> str:
        """Return when it was found first."""
        return instant_text(finding.found_at)

    def meaning(self, finding: Finding) -> str:
        """Return what a finding of this kind says."""
        return _MEANINGS[FindingKind(finding.kind)]

    def payment(self, finding: Finding) -> str:
        """Return the payment it is about, as a link."""
        attempt = Attempt.objects.filter(id=finding.attempt_id).first() if finding.attempt_id else None
        if attempt is None:
            return "unknown"
        page = reverse("admin:payments_attempt_change", args=[attempt.pk])
        return format_html('<a href="{}">{}</a>', page, attempt.reference)

    def order(self, finding: Finding) -> str:
        """Return the order it is about, as a link."""
        if finding.order_id is None:
            return "unknown"
        page = reverse("admin:orders_order_change", args=[finding.order_id])
        return format_html('<a href="{}">{}</a>', page, finding.order_id)


def findings_panel(*, order_id: UUID) -> Panel:
    """Describe in what the order's money differs, or did."""
    return Panel(
        title="Findings",
        columns=("Found (UTC)", "Kind", "Gateway", "State", "What"),
        rows=tuple(
            Row(
                cells=(
                    instant_text(finding.found_at),
                    Link(finding.kind, reverse("admin:payments_finding_change", args=[finding.pk])),
                    finding.gateway,
                    finding.state,
                    finding.detail,
                ),
                actions=_acts(finding),
            )
            for finding in Finding.objects.filter(order_id=order_id)
        ),
    )


def _fix(_request: HttpRequest, finding: Finding) -> str:
    fix = services.fix_finding(finding_id=finding.pk, source=Source.STAFF, now=utc_now())
    return f"Mended: {fix.done}." if fix.fixed else f"Not mended yet: {fix.done}."


def _dismiss(request: HttpRequest, finding: Finding) -> str:
    reason = f"waved through by {request.user.get_username()}"
    services.dismiss_finding(finding_id=finding.pk, reason=reason, now=utc_now())
    return "Waved through; it is not found again unless it says something else."
