"""Notifications for support staff. Importing a page registers it; the panels stand on an order's page."""

from notifications.admin.mails import mails_panel
from notifications.admin.webhooks import webhooks_panel

__all__ = ["mails_panel", "webhooks_panel"]
