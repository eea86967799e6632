from typing import ClassVar

from django.contrib import admin
from unfold.decorators import display

from integrations.analytics.models import DailyCount
from integrations.analytics.vocabulary import NAMES
from shop.kernel.admin import ReadOnlyAdmin, filter_by, money_text


@admin.register(DailyCount)
class DailyCountAdmin(ReadOnlyAdmin):
    """How often each action happened, by day."""

    list_display: ClassVar = ["day", "name", "count", "money"]
    list_filter: ClassVar = [filter_by("name", words=lambda: sorted(NAMES)), "currency"]
    date_hierarchy = "day"

    @display(description="amount")
    def money(self, counted: DailyCount) -> str:
        """Show the money in major units."""
        return money_text(counted.amount, counted.currency) if counted.currency else "-"
