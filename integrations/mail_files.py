"""Mails as files, where no mail server is named: each is one `.eml`, which mail programs open.

Django's own file backend names its files by second and object address. Workers forked from one process share the
addresses, so two of them would write into one file at once.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend


class EmailBackend(BaseEmailBackend):
    """Writes to the folder EMAIL_FILE_PATH."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        """Write each mail, whole or not at all, under its Message-ID: the same mail again is the same file."""
        folder = Path(settings.EMAIL_FILE_PATH)
        folder.mkdir(parents=True, exist_ok=True)
        for email_message in email_messages:
            message = email_message.message()
            name = re.sub(r"[^\w.@-]", "", str(message["Message-ID"]))
            draft = folder / f".{name}.part"
            draft.write_bytes(message.as_bytes())
            draft.replace(folder / f"{name}.eml")
        return len(email_messages)
