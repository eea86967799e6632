"""The tables of notifications."""

from notifications.models.mails import Mail

__all__ = ["Mail"]
