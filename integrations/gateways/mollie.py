"""Mollie: payments API v2 over plain HTTP; a callback brings an id and nothing else.

A payment is session and money in one. API facts: docs.mollie.com/reference (create-payment, get-payment,
cancel-payment, list-payments, create-refund, list-refunds, api-idempotency, webhooks), docs.mollie.com/docs
(status-change, refunds, multicurrency). Why callbacks are believed as they are: docs/adr/0026.
"""

import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Annotated, Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import msgspec
from django.conf import settings

from integrations.gateways.answers import converted, keepable, known_words, made_before, verdict
from integrations.gateways.http import Answer, Call, GatewayHttp
from payments.dto import (
    CallbackMessage,
    GatewayRefund,
    GatewaySession,
    RefundRequest,
    RefundState,
    SessionRequest,
    SessionState,
)
from payments.ports import CallbackInvalid
from shop.kernel.clock import utc_now
from shop.kernel.ids import new_id
from shop.kernel.money import Money

_CREATED = 201
_OK = 200
_UNPROCESSABLE = 422
_PAGE = 250
# Mollie forgets an idempotency key an hour after it was first used.
_KEY_SECONDS = 50 * 60
_LONGEST_WINDOW = timedelta(days=1)
_ID = re.compile(r"tr_[A-Za-z0-9]{4,60}")
_CALLBACK_TYPE = "payment.changed"
# `:query` is the query of the address that was called. No real header has such a name.
_QUERY = ":query"
_STATES = {
    "open": SessionState.OPEN,
    "pending": SessionState.PROCESSING,
    "authorized": SessionState.PROCESSING,
    "paid": SessionState.PAID,
    "failed": SessionState.FAILED,
    "canceled": SessionState.CANCELLED,
    "expired": SessionState.EXPIRED,
}
_REFUND_STATES = {
    "queued": RefundState.PENDING,
    "pending": RefundState.PENDING,
    "processing": RefundState.PENDING,
    "refunded": RefundState.SUCCEEDED,
    "failed": RefundState.REJECTED,
    "canceled": RefundState.REJECTED,
}

_Instant = Annotated[datetime, msgspec.Meta(tz=True)]


class _AmountBody(msgspec.Struct):
    currency: str
    value: str

    def money(self) -> Money:
        """Return the amount; ValueError for one the currency cannot have."""
        return Money.from_major(self.value, self.currency)


class _LinkBody(msgspec.Struct):
    href: str


class _LinksBody(msgspec.Struct):
    checkout: _LinkBody | None = None
    next: _LinkBody | None = None


class _PaymentBody(msgspec.Struct):
    id: str
    mode: str
    status: str
    amount: _AmountBody
    created_at: _Instant = msgspec.field(name="createdAt")
    cancelable: bool = msgspec.field(name="isCancelable", default=False)
    # Whoever made the payment writes here what he likes, in any shape.
    metadata: Any = None
    details: Any = None
    links: _LinksBody = msgspec.field(name="_links", default_factory=_LinksBody)


class _RefundBody(msgspec.Struct):
    id: str
    mode: str
    status: str
    amount: _AmountBody
    payment_id: str = msgspec.field(name="paymentId")
    created_at: _Instant = msgspec.field(name="createdAt")
    metadata: Any = None


class _ListBody(msgspec.Struct):
    embedded: dict[str, list[Any]] = msgspec.field(name="_embedded")
    links: _LinksBody = msgspec.field(name="_links", default_factory=_LinksBody)


class _MadeBody(msgspec.Struct):
    created_at: _Instant = msgspec.field(name="createdAt")


class MollieGateway:
    """Speaks to Mollie; whether money is real there is the API key's own property."""

    name = "mollie"

    def __init__(self) -> None:
        self._http = GatewayHttp(url=settings.MOLLIE_API_URL, secret=settings.MOLLIE_API_KEY)

    def create_session(self, request: SessionRequest) -> GatewaySession:
        """Open a payment; the same idempotency key gives the same payment.

        When Mollie may have forgotten the key, the payment is looked for by its reference instead.
        """
        now = utc_now()
        first_call = request.expires_at - timedelta(seconds=settings.PAYMENT_WINDOW_SECONDS)
        if now >= min(request.expires_at, first_call + timedelta(seconds=_KEY_SECONDS)):
            earliest = request.expires_at - _LONGEST_WINDOW
            made = made_before(sessions=self.list_sessions(created_after=earliest), request=request, now=now)
            if made:
                return made
        call = Call(method="POST", path="/v2/payments", body=_wanted(request), key=request.idempotency_key)
        return _session(_expect(self._http.send(call), _CREATED))

    def fetch_session(self, session_id: str) -> GatewaySession:
        """Return the gateway's present word."""
        return _session(self._fetched(session_id))

    def close_session(self, session_id: str) -> GatewaySession:
        """Cancel the payment and return its state; one that is final comes back as it is.

        Many ways to pay cannot be cancelled once the shopper has chosen them: then the payment comes back open, and
        runs out by itself within the hour or so Mollie gives it.
        """
        said = self._fetched(session_id)
        if not converted(said, _PaymentBody).cancelable:
            return _session(said)
        answer = self._http.send(Call(method="DELETE", path=_payment_path(session_id)))
        if answer.status == _UNPROCESSABLE:
            return self.fetch_session(session_id)
        return replace(_session(_expect(answer, _OK)), state=SessionState.CLOSED)

    def list_sessions(self, *, created_after: datetime) -> Iterator[GatewaySession]:
        """Yield payments, newest first."""
        return map(_session, self._listed("/v2/payments", "payments", created_after=created_after))

    def create_refund(self, request: RefundRequest) -> GatewayRefund:
        """Give money back; the same idempotency key gives the same refund.

        It may be asked again days later, with a key Mollie has forgotten: one with our reference is not made twice.
        Mollie itself may refuse two equal refunds in a row, with 409; that passes, so it is no refusal.
        """
        for earlier in self.list_refunds(session_id=request.session_id, payment_id=request.payment_id):
            if earlier.reference == request.reference:
                return earlier
        body = {
            "amount": _amount(request.amount),
            "description": request.reference,
            "metadata": {"reference": request.reference},
        }
        path = f"{_payment_path(request.session_id)}/refunds"
        answer = self._http.send(Call(method="POST", path=path, body=body, key=request.idempotency_key))
        return _refund(_expect(answer, _CREATED))

    def fetch_refund(self, *, refund_id: str, session_id: str) -> GatewayRefund:
        """Return the gateway's present word on a refund of this payment."""
        path = f"{_payment_path(session_id)}/refunds/{quote(refund_id, safe='')}"
        return _refund(_expect(self._http.send(Call(method="GET", path=path)), _OK))

    def list_refunds(self, *, session_id: str, payment_id: str) -> Iterator[GatewayRefund]:
        """Yield every refund of the payment, newest first, those made in the dashboard without a reference."""
        del payment_id
        return map(_refund, self._listed(f"{_payment_path(session_id)}/refunds", "refunds"))

    def list_refunds_since(self, *, created_after: datetime) -> Iterator[GatewayRefund]:
        """Yield every refund made since then, newest first."""
        return map(_refund, self._listed("/v2/refunds", "refunds", created_after=created_after))

    def parse_callback(self, *, body: bytes, headers: Mapping[str, str], now: datetime) -> list[CallbackMessage]:
        """Return whose payment may have changed; CallbackInvalid unless our own address for Mollie was called.

        Each call is a message of its own: a payment's next change comes in the very same words as its last.
        """
        del now
        _check_address(headers.get(_QUERY, ""))
        try:
            form = parse_qs(body.decode("ascii"), keep_blank_values=True, max_num_fields=10)
        except ValueError as error:
            raise CallbackInvalid("not a form") from error
        ids = form.get("id", [])
        if len(ids) != 1 or not _ID.fullmatch(ids[0]):
            raise CallbackInvalid("not the id of one payment")
        return [CallbackMessage(f"{ids[0]}.{new_id()}", _CALLBACK_TYPE, ids[0], None, concerns_refunds=True)]

    def _fetched(self, session_id: str) -> Any:
        return _expect(self._http.send(Call(method="GET", path=_payment_path(session_id))), _OK)

    def _listed(self, path: str, kind: str, *, created_after: datetime | None = None) -> Iterator[Any]:
        """Yield what a list holds, page by page, as long as it is young enough. Instants there are whole seconds."""
        earliest = created_after.replace(microsecond=0) if created_after else None
        query = urlencode({"limit": _PAGE})
        while query:
            page = converted(_expect(self._http.send(Call(method="GET", path=f"{path}?{query}")), _OK), _ListBody)
            for said in page.embedded.get(kind, []):
                if earliest and converted(said, _MadeBody).created_at < earliest:
                    return
                yield said
            # Only the cursor is taken from the link: the secret goes to no address that an answer names.
            with known_words():
                query = urlsplit(page.links.next.href).query if page.links.next else ""


def webhook_url(*, reference: str) -> str:
    """Return the address Mollie is to call about the payment with this reference; only they and we know it."""
    query = urlencode({"for": reference, "token": _token(settings.MOLLIE_WEBHOOK_SECRETS[0], reference)})
    return f"{settings.PUBLIC_URL}/payment-callback/{MollieGateway.name}?{query}"


def _token(secret: str, reference: str) -> str:
    return hmac.new(secret.encode(), f"mollie-webhook:{reference}".encode(), hashlib.sha256).hexdigest()


def _check_address(query: str) -> None:
    """Refuse a call to an address that none of our secrets has made."""
    try:
        named = parse_qs(query, max_num_fields=10, errors="strict")
    except ValueError as error:
        raise CallbackInvalid("no address of ours") from error
    reference, token = named.get("for", [""])[0], named.get("token", [""])[0].encode()
    secrets = settings.MOLLIE_WEBHOOK_SECRETS
    if not any(hmac.compare_digest(_token(secret, reference).encode(), token) for secret in secrets):
        raise CallbackInvalid("no address of ours")


def _wanted(request: SessionRequest) -> dict[str, Any]:
    wanted = {
        "amount": _amount(request.amount),
        "description": request.reference,
        "redirectUrl": request.return_url,
        "metadata": {"reference": request.reference},
    }
    # Mollie refuses an address it cannot reach, such as a developer's own; there the clock asks.
    if settings.PUBLIC_URL.startswith("https://"):
        wanted["webhookUrl"] = webhook_url(reference=request.reference)
    return wanted


def _payment_path(session_id: str) -> str:
    return f"/v2/payments/{quote(session_id, safe='')}"


def _amount(money: Money) -> dict[str, str]:
    return {"currency": money.currency, "value": f"{money.major():f}"}


def _expect(answer: Answer, status: int) -> Any:
    if answer.status == status:
        return answer.body
    # Mollie names no codes: the title says the kind of the error, the field what it is about.
    told = answer.body if isinstance(answer.body, dict) else {}
    words = [str(told[part]) for part in ("title", "field") if told.get(part)]
    code = re.sub(r"[^a-z0-9]+", "_", " ".join(words).lower()).strip("_")
    raise verdict(gateway=MollieGateway.name, status=answer.status, code=code)


def _session(said: Any) -> GatewaySession:
    body = converted(said, _PaymentBody)
    with known_words():
        amount = body.amount.money()
        state = _word(_STATES, body.status)
        return keepable(
            GatewaySession(
                session_id=body.id,
                state=state,
                redirect_url=body.links.checkout.href if body.links.checkout else "",
                reference=_reference(body.metadata),
                amount=amount,
                captured=amount if state is SessionState.PAID else Money.zero(amount.currency),
                live=body.mode == "live",
                failure_code=_text(body.details, "failureReason") if state is SessionState.FAILED else "",
                created_at=body.created_at,
            )
        )


def _refund(said: Any) -> GatewayRefund:
    body = converted(said, _RefundBody)
    with known_words():
        state = _word(_REFUND_STATES, body.status)
        return keepable(
            GatewayRefund(
                refund_id=body.id,
                session_id=body.payment_id,
                payment_id="",
                reference=_reference(body.metadata),
                state=state,
                amount=body.amount.money(),
                live=body.mode == "live",
                failure_code=body.status if state is RefundState.REJECTED else "",
                created_at=body.created_at,
            )
        )


def _word(words: Mapping[str, Any], word: str) -> Any:
    if word not in words:
        raise ValueError(f"the word {word}")
    return words[word]


def _reference(metadata: Any) -> str:
    return _text(metadata, "reference")


def _text(given: Any, name: str) -> str:
    value = given.get(name) if isinstance(given, dict) else None
    return value if isinstance(value, str) and value.isprintable() else ""
