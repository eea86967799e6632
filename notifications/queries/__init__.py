"""Reads of notifications. Those about mails stand here; those about merchants' webhooks in `queries.webhooks`."""

from notifications.queries.mails import due_mails, due_since, letter_of, waiting
from notifications.queries.telling import story

__all__ = ["due_mails", "due_since", "letter_of", "story", "waiting"]
