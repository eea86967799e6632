"""Mails for support staff: what was told to whom, how it read, sending it again and letting it be."""

from collections.abc import Callable
from functools import partial
from typing import ClassVar
from uuid import UUID

from django.conf import settings
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.db.models.functions import Lower
from django.http import HttpRequest
from django.urls import URLPattern, reverse
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString
from unfold.decorators import display

from notifications import queries, services
from notifications.models import Mail
from notifications.states import DISMISSABLE, RESENDABLE
from shop.kernel.admin import ActingAdmin, LongList, filter_by, instant_text
from shop.kernel.clock import utc_now
from shop.kernel.ids import as_uuid, normal_order_number
from shop.kernel.panels import Action, Link, Panel, Row

_COLOURS = {
    "sent": "success",
    "pending": "info",
    "sending": "info",
    "unconfirmed": "warning",
    "dead": "danger",
    "dismissed": "info",
}


@admin.register(Mail)
class MailAdmin(LongList, ActingAdmin):
    """A mail with its words, and the ways to send it again or to let it be."""

    list_display: ClassVar = ["template", "order_number", "recipient", "state_label", "attempts", "written"]
    list_filter: ClassVar = ["state", "template", filter_by("language", words=lambda: dict(settings.LANGUAGES))]
    search_fields: ClassVar = ["order_number"]
    search_help_text = "Order number, e-mail address, or the id of a mail or order"
    actions: ClassVar = ["resend_chosen", "dismiss_chosen"]
    fieldsets: ClassVar = [
        (None, {"fields": ["template", "order", "recipient", "language", "state_label", "written", "sent"]}),
        ("Sending", {"fields": ["attempts", "next_attempt_at", "last_error", "resends", "event_id"]}),
        ("As it reads now", {"fields": ["letter"]}),
    ]

    def get_urls(self) -> list[URLPattern]:
        """Add the addresses that send a mail again, or let it be."""
        return [self.acting("resend", _resend), self.acting("dismiss", _dismiss), *super().get_urls()]

    def offered(self, row: Mail) -> tuple[Action, ...]:
        """Send again what is not on its way; let be what did not arrive."""
        return _acts(row)

    def found(self, rows: QuerySet[Mail], text: str) -> QuerySet[Mail]:
        """Find by what a person has at hand."""
        if "@" in text:
            return rows.annotate(lowered=Lower("recipient")).filter(lowered=text.lower())
        if row_id := as_uuid(text):
            return rows.filter(pk=row_id) | rows.filter(order_id=row_id)
        return rows.filter(order_number=normal_order_number(text) or text)

    @admin.action(description="Send again", permissions=["act"])
    def resend_chosen(self, request: HttpRequest, queryset: QuerySet[Mail]) -> None:
        """Send the chosen mails again; those on their way are left alone and named."""
        self._act_on_each(request, queryset, _resend, done="are sent again")

    @admin.action(description="Dismiss: nobody needs these mails", permissions=["act"])
    def dismiss_chosen(self, request: HttpRequest, queryset: QuerySet[Mail]) -> None:
        """Let the chosen mails be; those that were sent, or may yet be, are left alone and named."""
        self._act_on_each(request, queryset, _dismiss, done="are dismissed")

    def _act_on_each(
        self, request: HttpRequest, queryset: QuerySet[Mail], act: Callable[[HttpRequest, Mail], str], *, done: str
    ) -> None:
        mails = list(queryset)
        left = [str(mail) for mail in mails if not self.carried_out(request, mail, partial(act, request, mail))]
        self.message_user(request, f"{len(mails) - len(left)} {done}.", messages.SUCCESS)
        if left:
            self.message_user(request, f"Left alone: {', '.join(left)}.", messages.WARNING)

    @display(description="state", label=_COLOURS)
    def state_label(self, mail: Mail) -> str:
        """Return where the mail stands."""
        return mail.state

    @display(description="written (UTC)")
    def written(self, mail: Mail) -> str:
        """Return when the mail was written."""
        return instant_text(mail.created_at)

    @display(description="sent (UTC)")
    def sent(self, mail: Mail) -> str:
        """Return when the mail was sent last."""
        return instant_text(mail.sent_at) if mail.sent_at else "not yet"

    def order(self, mail: Mail) -> SafeString:
        """Return the order's number, leading to its page."""
        return format_html(
            '<a href="{}">{}</a>', reverse("admin:orders_order_change", args=[mail.order_id]), mail.order_number
        )

    @display(description="")
    def letter(self, mail: Mail) -> SafeString | str:
        """Return the words; the HTML part stands in a frame that may do nothing."""
        try:
            letter = queries.letter_of(mail=mail, now=utc_now())
        except Exception as error:  # noqa: BLE001  the page is needed most where a template is broken
            return f"This mail cannot be put into words: {type(error).__name__}: {error}"
        return format_html(
            '<p class="mb-4 font-semibold">{}</p>'
            '<iframe sandbox srcdoc="{}" title="The mail" style="width:100%;min-width:20rem;height:48rem;border:0">'
            '</iframe><pre class="mt-4" style="white-space:pre-wrap">{}</pre>',
            letter.subject,
            # It is safe as a page of its own; as an attribute it is text like any other.
            escape(letter.html),
            letter.text,
        )


def mails_panel(*, order_id: UUID) -> Panel:
    """Describe what the shopper was told about the order."""
    mails = Mail.objects.filter(order_id=order_id).order_by("id")
    return Panel(
        title="Mails",
        columns=("Written (UTC)", "Mail", "To", "State", "Attempts", "Last error"),
        rows=tuple(
            Row(
                cells=(
                    instant_text(mail.created_at),
                    Link(mail.template, reverse("admin:notifications_mail_change", args=[mail.pk])),
                    mail.recipient,
                    mail.state,
                    str(mail.attempts),
                    mail.last_error,
                ),
                actions=_acts(mail),
            )
            for mail in mails
        ),
    )


def _acts(mail: Mail) -> tuple[Action, ...]:
    resend = Action("Send again", reverse("admin:notifications_mail_resend", args=[mail.pk]))
    dismiss = Action("Dismiss", reverse("admin:notifications_mail_dismiss", args=[mail.pk]))
    return (resend,) * (mail.state in RESENDABLE) + (dismiss,) * (mail.state in DISMISSABLE)


def _resend(_request: HttpRequest, mail: Mail) -> str:
    services.resend(mail_id=mail.pk, now=utc_now())
    return f"Sent again; it was {mail.state}."


def _dismiss(_request: HttpRequest, mail: Mail) -> str:
    services.dismiss(mail_id=mail.pk)
    return f"Dismissed; it was {mail.state}."
