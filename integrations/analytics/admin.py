from typing import ClassVar

from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from integrations.analytics.models import DailyCount


@admin.register(DailyCount)
class DailyCountAdmin(ModelAdmin):
    """How often each action happened, by day."""

    list_display: ClassVar = ["day", "name", "count", "amount", "currency"]
    list_filter: ClassVar = ["name", "currency"]
    date_hierarchy = "day"

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody invents history."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: DailyCount | None = None) -> bool:
        """Nobody changes it."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: DailyCount | None = None) -> bool:
        """Nobody removes it."""
        return False
