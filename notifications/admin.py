"""Mails for support staff: what was told to whom, how it read, and sending it again."""

from typing import ClassVar
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.db.models.functions import Lower
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.formats import date_format
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.decorators import display
from unfold.paginator import InfinitePaginator

from notifications import queries, services
from notifications.models import Mail
from notifications.states import RESENDABLE
from shop.kernel.clock import utc_now
from shop.kernel.errors import Refusal
from shop.kernel.ids import as_uuid, normal_order_number
from shop.kernel.panels import Action, Link, Panel, Row, way_back

_INSTANT = "Y-m-d H:i:s"
_COLOURS = {"sent": "success", "pending": "info", "sending": "info", "unconfirmed": "warning", "dead": "danger"}


@admin.register(Mail)
class MailAdmin(ModelAdmin):
    """A mail with its words, and the way to send it again."""

    list_display: ClassVar = ["template", "order_number", "recipient", "state_label", "attempts", "written"]
    list_filter: ClassVar = ["state", "template", "language"]
    search_fields: ClassVar = ["order_number"]
    search_help_text = "Order number, e-mail address, or the id of a mail or order"
    # Sorting by another column, or counting all rows, would cost more with every mail ever sent.
    ordering: ClassVar = ["-id"]
    sortable_by: ClassVar[list[str]] = []
    paginator = InfinitePaginator
    show_full_result_count = False
    list_per_page = 50
    actions: ClassVar = ["resend_chosen"]
    change_form_outer_after_template = "notifications/resend.html"
    fieldsets: ClassVar = [
        (None, {"fields": ["template", "order", "recipient", "language", "state_label", "written", "sent"]}),
        ("Sending", {"fields": ["attempts", "next_attempt_at", "last_error", "resends", "event_id"]}),
        ("As it reads now", {"fields": ["letter"]}),
    ]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Mails are written about events."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nothing of a mail is edited."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """The row is what keeps a mail from being sent twice."""
        return False

    def has_resend_permission(self, request: HttpRequest) -> bool:
        """Tell who may send again: those with Django's permission to change mails."""
        return request.user.has_perm("notifications.change_mail")

    def get_urls(self) -> list[URLPattern]:
        """Add the address that sends a mail again."""
        again = path(
            "<str:object_id>/resend/", self.admin_site.admin_view(self._resend), name="notifications_mail_resend"
        )
        return [again, *super().get_urls()]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Mail], search_term: str
    ) -> tuple[QuerySet[Mail], bool]:
        """Find by what a person has at hand; every way is exact and has an index."""
        text = search_term.strip()
        if not text:
            return queryset, False
        if "@" in text:
            return queryset.annotate(lowered=Lower("recipient")).filter(lowered=text.lower()), False
        if row_id := as_uuid(text):
            return queryset.filter(pk=row_id) | queryset.filter(order_id=row_id), False
        return queryset.filter(order_number=normal_order_number(text) or text), False

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, object] | None = None,
    ) -> HttpResponse:
        """Show the mail, and below it the button that sends it again."""
        mail = self.get_object(request, object_id)
        offered = _acts(mail) if mail is not None and self.has_resend_permission(request) else ()
        context = {"acts": offered, "next": request.get_full_path(), **(extra_context or {})}
        response: HttpResponse = super().change_view(request, object_id, form_url, context)
        return response

    @admin.action(description="Send again", permissions=["resend"])
    def resend_chosen(self, request: HttpRequest, queryset: QuerySet[Mail]) -> None:
        """Send the chosen mails again; those on their way are left alone and named."""
        done = [mail for mail in queryset if self._sent_again(request, mail)]
        self.message_user(request, f"{len(done)} are sent again.", messages.SUCCESS)

    def _resend(self, request: HttpRequest, object_id: str) -> HttpResponse:
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not self.has_resend_permission(request):
            raise PermissionDenied
        mail = self.get_object(request, object_id)
        if mail is None:
            raise Http404
        if self._sent_again(request, mail):
            self.message_user(request, f"The {mail.template} goes to {mail.recipient} again.", messages.SUCCESS)
        page = reverse("admin:notifications_mail_change", args=[mail.pk])
        return HttpResponseRedirect(way_back(request, otherwise=page))

    def _sent_again(self, request: HttpRequest, mail: Mail) -> bool:
        try:
            services.resend(mail_id=mail.pk, now=utc_now())
        except Refusal as refusal:
            self.message_user(request, f"{mail}: {refusal.detail}", messages.ERROR)
            return False
        self.log_change(request, mail, f"Sent again; it was {mail.state}.")
        return True

    @display(description="state", label=_COLOURS)
    def state_label(self, mail: Mail) -> str:
        """Return where the mail stands."""
        return mail.state

    @display(description="written (UTC)")
    def written(self, mail: Mail) -> str:
        """Return when the mail was written."""
        return date_format(mail.created_at, _INSTANT)

    @display(description="sent (UTC)")
    def sent(self, mail: Mail) -> str:
        """Return when the mail was sent last."""
        return date_format(mail.sent_at, _INSTANT) if mail.sent_at else "not yet"

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
                    date_format(mail.created_at, _INSTANT),
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
    if mail.state not in RESENDABLE:
        return ()
    return (Action("Send again", reverse("admin:notifications_mail_resend", args=[mail.pk])),)
