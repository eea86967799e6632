"""The tables of notifications."""

from notifications.models.mails import Mail
from notifications.models.webhooks import WebhookAttempt, WebhookDelivery, WebhookEndpoint

__all__ = ["Mail", "WebhookAttempt", "WebhookDelivery", "WebhookEndpoint"]
