"""What the admin pages of rows that come from gateways share."""

from collections.abc import Callable
from typing import Any, ClassVar

from django.conf import settings
from django.contrib import messages
from django.contrib.admin import SimpleListFilter
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from unfold.admin import TabularInline

from payments.ports import GatewayRefused, GatewayUnavailable
from shop.kernel.admin import ActingAdmin, LongList, filter_by

BY_GATEWAY = filter_by("gateway", words=lambda: settings.GATEWAYS)


class InReview(SimpleListFilter):
    """The rows a person has to look at: the gateway's word contradicts ours, or never came."""

    title = "review"
    parameter_name = "review"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return what may be chosen."""
        return [("1", "in review")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Keep the rows that have a reason to be looked at; an index has these alone."""
        return queryset.exclude(review_reason="") if self.value() == "1" else queryset


class HistoryInline(TabularInline):
    """How a row came to be what it is, move by move."""

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


class GatewayAdmin(LongList, ActingAdmin):
    """Rows that come from gateways; acting on one may mean asking the gateway, which may not answer."""

    def carried_out(self, request: HttpRequest, row: Model, act: Callable[[], str]) -> str | None:
        """Act, log and tell; a gateway that gives no answer is told like a refusal."""
        try:
            return super().carried_out(request, row, act)
        except (GatewayUnavailable, GatewayRefused) as error:
            self.message_user(request, f"The gateway gave no answer: {error}.", messages.ERROR)
            return None
