"""Notifications for support staff. Importing a page registers it; the panels stand on an order's page."""

from notifications.admin.mails import mails_panel

__all__ = ["mails_panel"]
