"""Mails in the states tests begin with, and a mail server that does as it is told."""

import smtplib
from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend

from notifications import services
from notifications.dto import Delivery, Notice, Template
from notifications.models import Mail
from orders.dto import OrderView
from shop.kernel.ids import new_id
from shop.kernel.outbox.models import LoggedEvent
from shop.kernel.transactions import open_unit_of_work


def notice(
    order: OrderView, *, template: Template = Template.ORDER_CONFIRMATION, event_id: UUID | None = None
) -> Notice:
    """Return what a handler makes of an event about the order."""
    return Notice(
        event_id=event_id or new_id(),
        template=template,
        order_id=order.order_id,
        user_id=order.user_id,
        guest=order.guest,
        amount=order.totals.total,
        occurred_at=order.created_at,
    )


def written(order: OrderView, *, now: datetime, template: Template = Template.ORDER_CONFIRMATION) -> Mail:
    """Return a mail that waits to be sent."""
    wanted = notice(order, template=template)
    with open_unit_of_work():
        services.write(notice=wanted, now=now)
    return Mail.objects.get(event_id=wanted.event_id)


def told_of(mail: Mail) -> list[dict[str, object]]:
    """Return the `Notification Sent` told about the mail."""
    events = LoggedEvent.objects.filter(topic="analytics.events", key=mail.user_id)
    return [event.payload for event in events if event.payload["name"] == "Notification Sent"]


class MailServer(BaseEmailBackend):
    """Keeps what it accepts; `refuses_with` and `away_with` make it fail."""

    def __init__(self) -> None:
        super().__init__()
        self.accepted: list[EmailMessage] = []
        self.connections = 0
        self.away_with: Exception | None = None
        self.refuses_with: Exception | None = None
        self.when_given: Callable[[EmailMessage], object] = lambda _: None
        self.when_opened: Callable[[], object] = lambda: None
        self._is_open = False

    def open(self) -> bool:
        """Connect, unless connected."""
        self.when_opened()
        if self.away_with:
            raise self.away_with
        self.connections += not self._is_open
        self._is_open = True
        return True

    def close(self) -> None:
        """Hang up."""
        self._is_open = False

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        """Accept, or refuse as told."""
        for message in email_messages:
            self.when_given(message)
            if self.refuses_with:
                raise self.refuses_with
            self.accepted.append(message)
        return len(email_messages)


def recipient_refused(code: int) -> smtplib.SMTPRecipientsRefused:
    """Return what smtplib raises when the one recipient is refused with this code."""
    return smtplib.SMTPRecipientsRefused({"ada@example.com": (code, b"no such user")})


def deliver(mail: Mail, server: MailServer, now: datetime) -> Delivery:
    """Try to send the mail, and read it again."""
    delivery = services.deliver(mail_id=mail.pk, connection=server, now=now)
    mail.refresh_from_db()
    return delivery
