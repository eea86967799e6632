"""The sandbox gateway, as a shop sees it: HTTP out, signed callbacks in."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from standardwebhooks import Webhook, WebhookVerificationError

from integrations.gateways.answers import check_age, check_names, converted, decoded, keepable, known_words, verdict
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
from shop.kernel.clock import rfc3339
from shop.kernel.money import Money

_CREATED = 201
_OK = 200
_CONFLICT = 409
# A key used with another body says that the session exists: that is no refusal of the payment.
_NOT_A_REFUSAL = frozenset({"idempotency_conflict"})
_REFUSALS = frozenset({"refund_exceeds_captured"})
_ABOUT_REFUNDS = "refund."


class _SessionBody(msgspec.Struct):
    """A session in the gateway's words."""

    id: str
    url: str
    status: str
    amount: int
    currency: str
    reference: str
    captured_amount: int
    mode: str
    failure_code: str | None = None
    fee_amount: int | None = None
    created_at: datetime | None = None


class _RefundBody(msgspec.Struct):
    """A refund in the gateway's words."""

    id: str
    session_id: str
    amount: int
    currency: str
    status: str
    mode: str
    reference: str = ""
    failure_code: str | None = None
    created_at: datetime | None = None


class _PageBody(msgspec.Struct):
    """A page of sessions or refunds, oldest first."""

    data: list[Any]
    next: str | None = None


class _SubjectBody(msgspec.Struct):
    """What an event is about: a session, or something of a session."""

    id: str
    session_id: str = ""


class _EventBody(msgspec.Struct):
    """A callback's body."""

    type: str
    created_at: datetime
    data: _SubjectBody


class SandboxGateway:
    """Speaks to the sandbox process; refuses to exist where only real money counts."""

    name = "sandbox"

    def __init__(self) -> None:
        if not settings.SANDBOX_GATEWAY_ALLOWED:
            raise ImproperlyConfigured("The sandbox gateway takes test cards and never loads in production.")
        self._http = GatewayHttp(url=settings.SANDBOX_GATEWAY_URL, secret=settings.SANDBOX_GATEWAY_SECRET)

    def create_session(self, request: SessionRequest) -> GatewaySession:
        """Open a session; the same idempotency key gives the same session."""
        body = {
            "amount": request.amount.amount,
            "currency": request.amount.currency,
            "reference": request.reference,
            "return_url": request.return_url,
            "expires_at": rfc3339(request.expires_at),
        }
        answer = self._http.send(Call(method="POST", path="/v1/sessions", body=body, key=request.idempotency_key))
        return _session(_expect(answer, _CREATED))

    def fetch_session(self, session_id: str) -> GatewaySession:
        """Return the gateway's present word."""
        answer = self._http.send(Call(method="GET", path=f"/v1/sessions/{quote(session_id, safe='')}"))
        return _session(_expect(answer, _OK))

    def close_session(self, session_id: str) -> GatewaySession:
        """Make the session unpayable and return its state; a paid one is returned as it is, not closed."""
        answer = self._http.send(Call(method="POST", path=f"/v1/sessions/{quote(session_id, safe='')}/close", body={}))
        if answer.status == _CONFLICT and isinstance(answer.body, dict):
            return _session(answer.body.get("session"))
        return _session(_expect(answer, _OK))

    def list_sessions(self, *, created_after: datetime) -> Iterator[GatewaySession]:
        """Yield sessions, oldest first."""
        return map(_session, self._listed("/v1/sessions", {"created_after": rfc3339(created_after)}))

    def create_refund(self, request: RefundRequest) -> GatewayRefund:
        """Give money back; the same idempotency key gives the same refund."""
        body = {
            "session_id": request.session_id,
            "amount": request.amount.amount,
            "reference": request.reference,
        }
        answer = self._http.send(Call(method="POST", path="/v1/refunds", body=body, key=request.idempotency_key))
        return _refund(_expect(answer, _CREATED))

    def fetch_refund(self, *, refund_id: str, session_id: str) -> GatewayRefund:
        """Return the gateway's present word; refunds have names of their own here, whatever session they are of."""
        del session_id
        answer = self._http.send(Call(method="GET", path=f"/v1/refunds/{quote(refund_id, safe='')}"))
        return _refund(_expect(answer, _OK))

    def list_refunds(self, *, session_id: str, payment_id: str) -> Iterator[GatewayRefund]:
        """Yield every refund of the session, oldest first, those made in the dashboard without a reference."""
        del payment_id
        return map(_refund, self._listed("/v1/refunds", {"session_id": session_id}))

    def list_refunds_since(self, *, created_after: datetime) -> Iterator[GatewayRefund]:
        """Yield every refund made since then, oldest first."""
        return map(_refund, self._listed("/v1/refunds", {"created_after": rfc3339(created_after)}))

    def _listed(self, path: str, query: Mapping[str, str]) -> Iterator[Any]:
        cursor: str | None = ""
        while cursor is not None:
            wanted = {**query, "cursor": cursor} if cursor else query
            answer = self._http.send(Call(method="GET", path=f"{path}?{urlencode(wanted)}"))
            page = converted(_expect(answer, _OK), _PageBody)
            yield from page.data
            cursor = page.next

    def parse_callback(self, *, body: bytes, headers: Mapping[str, str], now: datetime) -> list[CallbackMessage]:
        """Verify the raw body and return its messages; CallbackInvalid for anything that is not the gateway's.

        Standard Webhooks; while a secret is being rotated several are good at once.
        """
        check_age(signed_at=headers.get("webhook-timestamp", ""), now=now)
        if not any(_signed(secret, body, headers) for secret in settings.SANDBOX_WEBHOOK_SECRETS):
            raise CallbackInvalid("no signature by a secret of ours")
        event = decoded(body, _EventBody)
        session_id = event.data.session_id or event.data.id
        check_names(headers["webhook-id"], event.type, session_id)
        occurred_at = event.created_at if event.created_at.tzinfo else None
        concerns_refunds = event.type.startswith(_ABOUT_REFUNDS)
        return [CallbackMessage(headers["webhook-id"], event.type, session_id, occurred_at, concerns_refunds)]


def _signed(secret: str, body: bytes, headers: Mapping[str, str]) -> bool:
    """Say whether this secret signed the body; whatever a hostile header makes the library raise is a no."""
    try:
        Webhook(secret).verify(body, dict(headers), json_parse=False)
    except (WebhookVerificationError, ValueError, TypeError, AttributeError):
        return False
    return True


def _expect(answer: Answer, status: int) -> Any:
    if answer.status == status:
        return answer.body
    error = answer.body.get("error") if isinstance(answer.body, dict) else None
    code = str(error.get("code", "")) if isinstance(error, dict) else ""
    refuses = True if code in _REFUSALS else False if code in _NOT_A_REFUSAL else None
    raise verdict(gateway=SandboxGateway.name, status=answer.status, code=code, refuses=refuses)


def _session(said: Any) -> GatewaySession:
    body = converted(said, _SessionBody)
    with known_words():
        return keepable(
            GatewaySession(
                session_id=body.id,
                state=SessionState(body.status),
                redirect_url=body.url,
                reference=body.reference,
                amount=Money(body.amount, body.currency),
                captured=Money(body.captured_amount, body.currency),
                live=body.mode == "live",
                failure_code=body.failure_code or "",
                fee=Money(body.fee_amount, body.currency) if body.fee_amount else None,
                created_at=body.created_at,
            )
        )


def _refund(said: Any) -> GatewayRefund:
    body = converted(said, _RefundBody)
    with known_words():
        return keepable(
            GatewayRefund(
                refund_id=body.id,
                session_id=body.session_id,
                payment_id="",
                reference=body.reference,
                state=RefundState(body.status),
                amount=Money(body.amount, body.currency),
                live=body.mode == "live",
                failure_code=body.failure_code or "",
                created_at=body.created_at,
            )
        )
