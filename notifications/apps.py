from django.apps import AppConfig


class NotificationsConfig(AppConfig):
    """What people are told."""

    name = "notifications"
    label = "notifications"
