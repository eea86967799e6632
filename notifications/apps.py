from django.apps import AppConfig

from notifications.rendering import check_settings


class NotificationsConfig(AppConfig):
    """What people are told."""

    name = "notifications"
    label = "notifications"

    def ready(self) -> None:
        """Refuse to start with settings no mail could be written by."""
        check_settings()
