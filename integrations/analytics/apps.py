from django.apps import AppConfig


class AnalyticsConfig(AppConfig):
    """Translation of facts into user actions, and their daily roll-ups."""

    name = "integrations.analytics"
    label = "analytics"
    verbose_name = "Analytics"
