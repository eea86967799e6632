"""The alarm clocks of mails and of merchants' webhooks."""

from notifications.tasks.mails import send_mails, send_new_mails
from notifications.tasks.webhooks import forget_old_webhooks, send_webhooks

__all__ = ["forget_old_webhooks", "send_mails", "send_new_mails", "send_webhooks"]
