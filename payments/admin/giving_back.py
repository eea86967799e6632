"""The page on which staff give a payment's money back: how much, and why."""

from decimal import Decimal
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from unfold.widgets import UnfoldAdminDecimalFieldWidget, UnfoldAdminTextareaWidget

from payments import services
from payments.admin.gateways import GatewayAdmin
from payments.dto import RefundView
from payments.models import Attempt
from payments.serializers import LONGEST_REASON
from shop.kernel.clock import utc_now
from shop.kernel.ids import new_id
from shop.kernel.money import Money, exponent
from shop.kernel.panels import Action, way_back
from shop.kernel.validators import refuse_secrets

_CONSEQUENCE = (
    "The money goes back the way it came, and the shopper is told by mail once the gateway has sent it. An order that"
    " is not to be delivered has to be cancelled as well; cancelling a paid order gives all its money back."
)


class RefundForm(forms.Form):
    """How much goes back, and why. `once` is this page's own name: sent twice, it gives back once."""

    amount = forms.DecimalField(min_value=Decimal(0), max_digits=15, widget=UnfoldAdminDecimalFieldWidget)
    reason = forms.CharField(
        max_length=LONGEST_REASON,
        validators=[refuse_secrets],
        widget=UnfoldAdminTextareaWidget,
        help_text="The shopper can read it.",
    )
    once = forms.UUIDField(widget=forms.HiddenInput)

    def __init__(self, data: QueryDict | None, *, left: Money) -> None:
        super().__init__(data, initial={"amount": left.major(), "once": new_id()})
        self.left = left
        self.fields["amount"].label = f"Amount in {left.currency}"
        self.fields["amount"].help_text = f"{left} can be given back."

    def clean_amount(self) -> Money:
        """Return the money that is meant; digits the currency does not have, and nothing at all, are refused."""
        typed: Decimal = self.cleaned_data["amount"]
        minor = typed.scaleb(exponent(self.left.currency))
        if minor != minor.to_integral_value() or minor <= 0:
            raise forms.ValidationError(f"Not an amount in {self.left.currency}.")
        return Money(int(minor), self.left.currency)


def refund_act(attempt: Attempt) -> tuple[Action, ...]:
    """Return the way to this page, where something is left to be given back."""
    if not services.refundable(attempt=attempt):
        return ()
    return (Action("Refund…", reverse("admin:payments_attempt_refund", args=[attempt.pk])),)


def refund_url(page: GatewayAdmin) -> URLPattern:
    """Return the address of the page, as one of `page`'s own."""

    def view(request: HttpRequest, object_id: str) -> HttpResponse:
        if not page.has_act_permission(request):
            raise PermissionDenied
        attempt = page.get_object(request, object_id)
        if attempt is None:
            raise Http404
        return _answer(page, request, attempt)

    address: URLPattern = path(
        "<str:object_id>/refund/", page.admin_site.admin_view(view), name="payments_attempt_refund"
    )
    return address


def _answer(page: GatewayAdmin, request: HttpRequest, attempt: Attempt) -> HttpResponse:
    """Show the form until it is filled in, then give back, write it into the admin's log, and go back."""
    home = reverse("admin:payments_attempt_change", args=[attempt.pk])
    back = way_back(request, otherwise=home)
    # The button that leads here posts as all buttons do; only the form itself says how much.
    form = RefundForm(request.POST if "amount" in request.POST else None, left=services.refundable(attempt=attempt))
    if not form.is_valid():
        context = {
            **page.admin_site.each_context(request),
            "opts": page.opts,
            "title": f"Refund of {attempt.reference}",
            "form": form,
            "consequence": _CONSEQUENCE,
            "next": back,
        }
        return TemplateResponse(request, "payments/refund.html", context)
    if done := page.carried_out(request, attempt, lambda: _give_back(attempt.pk, form)):
        page.message_user(request, done, messages.SUCCESS)
    return HttpResponseRedirect(back)


def _give_back(payment_id: UUID, form: RefundForm) -> str:
    said = form.cleaned_data
    refund = services.give_back(
        payment_id=payment_id, amount=said["amount"], reason=said["reason"], once=said["once"], now=utc_now()
    )
    return outcome(refund)


def outcome(refund: RefundView) -> str:
    """Return what the admin's log and the page say of a refund somebody has just asked for."""
    code = f" ({refund.failure_code})" if refund.failure_code else ""
    return f"Refund of {refund.amount}: {refund.status}{code}."
