"""Write a mail together with the effect of its event; send it later, outside any transaction, once."""

import smtplib
import traceback
from contextlib import suppress
from datetime import datetime, timedelta
from email.utils import parseaddr
from time import perf_counter
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.core.mail.backends.base import BaseEmailBackend
from django.db import connection as database
from django.db import transaction

from notifications import metrics
from notifications.dto import FOR_STAFF, Delivery, Notice
from notifications.errors import MailNotFound
from notifications.models import Mail
from notifications.queries import letter_of
from notifications.states import State, check_move, check_resend
from orders import queries as orders
from orders.dto import MailOrder
from orders.errors import OrderNotFound
from shop.kernel.events import UserAction
from shop.kernel.ids import new_id
from shop.kernel.outbox.services import publish
from shop.kernel.tasks import wake_for_all
from shop.kernel.tracing import Trace, current_trace, tracing
from shop.kernel.transactions import forbid_unit_of_work, joins_unit_of_work, unit_of_work
from shop.kernel.waits import spread

log = structlog.get_logger(__name__)

# Far longer than a mail server may take; then whoever claimed the mail was killed.
LEASE = timedelta(minutes=10)
_PERMANENT = 500
_LONGEST_ERROR = 500

_WRITE = """
INSERT INTO notifications_mail
    (id, event_id, template, recipient, language, order_id, order_number, user_id, guest,
     amount_minor, currency, failure_code, cause, payment_id, correlation_id, occurred_at, next_attempt_at, created_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (event_id, template, recipient) DO NOTHING
"""


@joins_unit_of_work
def write(*, notice: Notice, now: datetime) -> bool:
    """Write the mail of a notice, to be sent once the unit of work commits.

    False when it was written before, or is for staff and the shop has no address for them. OrderNotFound.
    """
    order = orders.mail_order(order_id=notice.order_id)
    if order is None:
        raise OrderNotFound
    recipient, language = _to(notice, order)
    if not recipient:
        log.info("mail.nobody_to_tell", template=notice.template, order_id=str(notice.order_id))
        return False
    mail_id = new_id()
    amount = order.total if notice.amount is None else notice.amount
    with database.cursor() as cursor:
        cursor.execute(
            _WRITE,
            [
                mail_id, notice.event_id, notice.template, recipient, language, notice.order_id, order.number,
                notice.user_id, notice.guest, amount.amount, amount.currency, notice.failure_code,
                notice.cause, notice.payment_id, current_trace().correlation_id, notice.occurred_at, now, now,
            ],
        )  # fmt: skip
        if cursor.rowcount == 0:
            return False
    transaction.on_commit(metrics.mails.labels(notice.template, "written").inc)
    wake_for_all("notifications.tasks.send_new_mails")
    return True


def deliver(*, mail_id: UUID, connection: BaseEmailBackend, now: datetime) -> Delivery:
    """Send one mail if it is due and nobody else is at it.

    All that can fail before the mail leaves (words, connection) is done before the mail is claimed, so that a claim
    that stays open means one thing: the mail was being handed over, and may have arrived.
    """
    forbid_unit_of_work("Sending a mail")
    mail = Mail.objects.filter(pk=mail_id, state=State.PENDING, next_attempt_at__lte=now).first()
    if mail is None:
        return Delivery.NOT_DUE
    # As part of the action that caused the mail, whoever woke us.
    with tracing(Trace(mail.correlation_id or current_trace().correlation_id, causation_id=str(mail.event_id))):
        return _send(mail, connection, now=now)


def _send(mail: Mail, connection: BaseEmailBackend, *, now: datetime) -> Delivery:
    try:
        message = _message(mail, connection, now=now)
    except Exception as error:
        log.exception("mail.not_rendered", mail_id=str(mail.pk), template=mail.template)
        return _postpone(mail, error, now=now, was=State.PENDING)
    try:
        connection.open()
    except OSError as error:
        return _wait_for_server(mail, error, now=now)
    if not _move(mail, State.PENDING, State.SENDING, next_attempt_at=now + LEASE, attempts=mail.attempts + 1):
        return Delivery.NOT_DUE
    return _hand_over(mail, message, connection, now=now)


def give_up_lost(*, now: datetime, limit: int) -> int:
    """Set aside the mails whose senders were killed at it, and return how many: they may have arrived."""
    lost = Mail.objects.filter(state=State.SENDING, next_attempt_at__lte=now).order_by("next_attempt_at")[:limit]
    return sum(_set_aside(mail, "The worker was lost while it handed the mail over.") for mail in lost)


@unit_of_work
def resend(*, mail_id: UUID, now: datetime) -> None:
    """Send a mail again because a person asks for it; IllegalTransition while it is on its way, MailNotFound."""
    mail = _locked(mail_id)
    check_resend(current=State(mail.state))
    _move(
        mail, State(mail.state), State.PENDING,
        attempts=0, resends=mail.resends + 1, next_attempt_at=now, last_error="",
    )  # fmt: skip
    transaction.on_commit(metrics.mails.labels(mail.template, "resent").inc)
    wake_for_all("notifications.tasks.send_new_mails")


@unit_of_work
def dismiss(*, mail_id: UUID) -> None:
    """Wait no more for a dead or unconfirmed mail, because a person says so; IllegalTransition, MailNotFound."""
    mail = _locked(mail_id)
    _move(mail, State(mail.state), State.DISMISSED)
    transaction.on_commit(metrics.mails.labels(mail.template, "dismissed").inc)


def _locked(mail_id: UUID) -> Mail:
    mail = Mail.objects.select_for_update().filter(pk=mail_id).first()
    if mail is None:
        raise MailNotFound
    return mail


def _to(notice: Notice, order: MailOrder) -> tuple[str, str]:
    if notice.template in FOR_STAFF:
        return settings.SUPPORT_EMAIL, settings.LANGUAGE_CODE
    return order.email, order.language


def _message(mail: Mail, connection: BaseEmailBackend, *, now: datetime) -> EmailMultiAlternatives:
    letter = letter_of(mail=mail, now=now)
    message = EmailMultiAlternatives(
        subject=letter.subject,
        body=letter.text,
        to=[mail.recipient],
        reply_to=[settings.SUPPORT_EMAIL] if settings.SUPPORT_EMAIL else None,
        connection=connection,
        # The same for every try of one sending: mailboxes show such copies once. Another one when a person asks again.
        headers={
            "Message-ID": f"<{mail.pk}.{mail.resends}@{_domain()}>",
            "Auto-Submitted": "auto-generated",
        },
    )
    message.attach_alternative(letter.html, "text/html")
    return message


def _domain() -> str:
    return parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2]


def _hand_over(mail: Mail, message: EmailMultiAlternatives, connection: BaseEmailBackend, *, now: datetime) -> Delivery:
    began = perf_counter()
    try:
        connection.send_messages([message])
    except Exception as error:  # noqa: BLE001  a backend may raise anything; whatever it is concerns this mail only
        with suppress(OSError):
            connection.close()
        return _failed(mail, error, now=now)
    metrics.send_seconds.observe(perf_counter() - began)
    _mark_sent(mail, now=now)
    return Delivery.SENT


@unit_of_work
def _mark_sent(mail: Mail, *, now: datetime) -> None:
    sent = {"sent_at": now, "next_attempt_at": None, "last_error": ""}
    if not any(_move(mail, was, State.SENT, **sent) for was in (State.SENDING, State.UNCONFIRMED, State.DISMISSED)):
        log.warning("mail.sent_but_moved", mail_id=str(mail.pk))
        return
    if mail.template not in FOR_STAFF:
        _tell_sent(mail, now=now)
    transaction.on_commit(metrics.mails.labels(mail.template, "sent").inc)
    log.info("mail.sent", mail_id=str(mail.pk), template=mail.template, order_id=str(mail.order_id))


def _tell_sent(mail: Mail, *, now: datetime) -> None:
    publish(
        UserAction(
            occurred_at=now,
            user_id=mail.user_id,
            guest=mail.guest,
            name="Notification Sent",
            properties={
                "mail_id": str(mail.pk),
                "order_id": str(mail.order_id),
                "template": mail.template,
                "channel": "email",
                "language": mail.language,
            },
        )
    )


def _failed(mail: Mail, error: Exception, *, now: datetime) -> Delivery:
    if _may_have_arrived(error):
        _set_aside(mail, _in_short(error))
        return Delivery.UNCONFIRMED
    if _is_refused_for_good(error):
        return _bury(mail, error, was=State.SENDING)
    return _postpone(mail, error, now=now, was=State.SENDING)


def _postpone(mail: Mail, error: Exception, *, now: datetime, was: State) -> Delivery:
    delays = settings.MAIL_RETRY_DELAYS_SECONDS
    if mail.attempts >= len(delays):
        return _bury(mail, error, was=was)
    _wait(mail, error, was=was, until=_delayed(delays[mail.attempts], now), attempts=mail.attempts + 1)
    return Delivery.POSTPONED


def _wait_for_server(mail: Mail, error: Exception, *, now: datetime) -> Delivery:
    """Back off, and never give up: a mail server that is away is not this mail's fault."""
    delays = settings.MAIL_RETRY_DELAYS_SECONDS
    last = len(delays) - 1
    until = _delayed(delays[min(mail.attempts, last)], now)
    _wait(mail, error, was=State.PENDING, until=until, attempts=min(mail.attempts + 1, last))
    return Delivery.SERVER_AWAY


def _delayed(seconds: int, now: datetime) -> datetime:
    return now + spread(timedelta(seconds=seconds))


def _wait(mail: Mail, error: Exception, *, was: State, until: datetime, attempts: int) -> None:
    if _move(
        mail, was, State.PENDING,
        next_attempt_at=until, attempts=attempts, last_error=_in_short(error),
    ):  # fmt: skip
        metrics.mails.labels(mail.template, "postponed").inc()
        log.warning("mail.postponed", mail_id=str(mail.pk), template=mail.template, error=type(error).__name__)


def _bury(mail: Mail, error: Exception, *, was: State) -> Delivery:
    if _move(
        mail, was, State.DEAD,
        next_attempt_at=None, attempts=mail.attempts + 1, last_error=_in_short(error),
    ):  # fmt: skip
        metrics.mails.labels(mail.template, "dead").inc()
        log.error("mail.dead", mail_id=str(mail.pk), template=mail.template, error=type(error).__name__)
    return Delivery.DEAD


def _set_aside(mail: Mail, why: str) -> bool:
    if not _move(mail, State.SENDING, State.UNCONFIRMED, next_attempt_at=None, last_error=why):
        return False
    metrics.mails.labels(mail.template, "unconfirmed").inc()
    log.error("mail.unconfirmed", mail_id=str(mail.pk), template=mail.template)
    return True


def _move(mail: Mail, was: State, to: State, **changes: Any) -> bool:
    """Move the mail if it still is as we read it, and say so: who comes second finds nothing to move."""
    check_move(current=was, wanted=to)
    # The number of resends parts one sending from the next: a sender that comes back late moves only its own.
    mine = Mail.objects.filter(pk=mail.pk, state=was.value, resends=mail.resends)
    return mine.update(state=to.value, **changes) == 1


def _may_have_arrived(error: Exception) -> bool:
    """Tell whether the mail server fell silent after it was given the mail: only its last answer tells.

    smtplib does not say how far a conversation came; its own frame does.
    """
    return isinstance(error, smtplib.SMTPServerDisconnected) and any(
        frame.f_code is smtplib.SMTP.data.__code__ for frame, _ in traceback.walk_tb(error.__traceback__)
    )


def _is_refused_for_good(error: Exception) -> bool:
    """Tell whether the server will never take this mail; a refused sender is our mistake, and can be mended."""
    match error:
        case smtplib.SMTPRecipientsRefused(recipients=recipients):
            return all(code >= _PERMANENT for code, _ in recipients.values())
        case smtplib.SMTPDataError(smtp_code=code):
            return code >= _PERMANENT
        case _:
            return False


def _in_short(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".replace("\0", "")[:_LONGEST_ERROR]
