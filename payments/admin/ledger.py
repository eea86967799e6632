"""The ledger: every entry to be read only, and what is in the accounts."""

from typing import ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from unfold.decorators import action, display

from payments import services
from payments.admin.gateways import BY_GATEWAY
from payments.models import Posting
from payments.states import PostingKind
from shop.kernel.admin import LongList, ReadOnlyAdmin, filter_by, instant_text, money_text
from shop.kernel.ids import as_uuid

_BY_KIND = filter_by("kind", words=lambda: [kind.value for kind in PostingKind])


@admin.register(Posting)
class PostingAdmin(LongList, ReadOnlyAdmin):
    """One entry: what was debited and credited for which fact."""

    list_display: ClassVar = ["written", "kind", "debit", "credit", "money", "gateway"]
    list_filter: ClassVar = [_BY_KIND, BY_GATEWAY]
    search_fields: ClassVar = ["order_id"]
    search_help_text = "The id of an order, a payment or a refund"
    actions_list: ClassVar = ["balances"]
    fieldsets: ClassVar = [
        (None, {"fields": ["kind", "debit", "credit", "money", "written"]}),
        ("About", {"fields": ["source_id", "order_id", "attempt_id", "gateway"]}),
    ]

    def found(self, rows: QuerySet[Posting], text: str) -> QuerySet[Posting]:
        """Find by whole ids only: each is indexed, and the ledger is long."""
        wanted = as_uuid(text)
        if wanted is None:
            return rows.none()
        of_fact = rows.filter(kind__in=[kind.value for kind in PostingKind], source_id=wanted)
        return of_fact | rows.filter(order_id=wanted) | rows.filter(attempt_id=wanted)

    @action(description="Balances", permissions=["view"], url_path="balances", icon="account_balance")
    def balances(self, request: HttpRequest) -> HttpResponse:
        """Show what is in every account, by gateway and currency: one statement, which reads the whole ledger."""
        rows = [[one.account, one.gateway, one.amount] for one in services.balances()]
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Balances",
            "table": {"headers": ["Account", "Gateway", "Balance"], "rows": rows},
        }
        return TemplateResponse(request, "payments/balances.html", context)

    @display(description="written (UTC)")
    def written(self, posting: Posting) -> str:
        """Return when the fact was written."""
        return instant_text(posting.at)

    @display(description="amount")
    def money(self, posting: Posting) -> str:
        """Return how much it is about."""
        return money_text(posting.amount, posting.currency)
