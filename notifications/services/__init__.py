"""What notifications do. Verbs about mails stand here; those about merchants' webhooks in `services.webhooks`."""

from notifications.services.mails import deliver, dismiss, give_up_lost, resend, write

__all__ = ["deliver", "dismiss", "give_up_lost", "resend", "write"]
