from typing import ClassVar

from django.contrib import admin

from integrations.analytics.models import DailyCount
from shop.kernel.admin import ReadOnlyAdmin


@admin.register(DailyCount)
class DailyCountAdmin(ReadOnlyAdmin):
    """How often each action happened, by day."""

    list_display: ClassVar = ["day", "name", "count", "amount", "currency"]
    list_filter: ClassVar = ["name", "currency"]
    date_hierarchy = "day"
