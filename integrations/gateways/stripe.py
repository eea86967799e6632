"""Stripe: a Checkout Session to pay at, refunds, signed events; through Stripe's own library.

The session is what attempts know; the money itself is a PaymentIntent, which exists once the shopper has paid. API
facts: docs.stripe.com/api (checkout/sessions, refunds, idempotent_requests, pagination), docs.stripe.com/currencies.
"""

import logging
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import msgspec
import stripe
from django.conf import settings
from urllib3.exceptions import HTTPError, ReadTimeoutError

from integrations.gateways.answers import check_age, check_names, decoded, made_before, verdict
from integrations.gateways.http import REPEATS, connections, exchange
from integrations.gateways.stripe_words import count, instant, refund_word, session_word
from payments.dto import (
    CallbackMessage,
    GatewayRefund,
    GatewaySession,
    RefundRequest,
    SessionRequest,
    SessionState,
)
from payments.ports import CallbackInvalid, GatewayRefused, GatewayUnavailable
from shop.kernel.clock import utc_now

# A session lives for half an hour at least. What our window ends earlier, the clock closes.
SHORTEST_SESSION_SECONDS = 30 * 60
LONGEST_SESSION_SECONDS = 24 * 60 * 60
_MONEY = "payment_intent.latest_charge.balance_transaction"
_PAGE = 100
_MONEY_ID = "pi_"
# Events by the beginning of their type, and the field of their object that leads to a session or its money.
_LEADS = {"checkout.session.": "id", "payment_intent.": "id", "refund.": "payment_intent", "charge.": "payment_intent"}
_ABOUT_REFUNDS = ("refund.", "charge.refund")


# At the level above it writes down Stripe's own sentences, which may quote a key or a card.
logging.getLogger("stripe").setLevel(logging.WARNING)


class _DataBody(msgspec.Struct):
    object: dict[str, Any]


class _EventBody(msgspec.Struct):
    id: str
    type: str
    created: int
    livemode: bool
    data: _DataBody


class StripeGateway:
    """Speaks to Stripe; whether money is real there is the secret key's own property."""

    name = "stripe"

    def __init__(self) -> None:
        self._client = stripe.StripeClient(
            settings.STRIPE_SECRET_KEY,
            base_addresses={"api": settings.STRIPE_API_URL},
            max_network_retries=REPEATS,
            http_client=_Transport(),
        )
        self._live = settings.STRIPE_SECRET_KEY.partition("_")[2].startswith("live_")

    def create_session(self, request: SessionRequest) -> GatewaySession:
        """Open a session; the same idempotency key gives the same session.

        Stripe keeps a key for a day, and answers with what it said then: the state may have moved on since. After the
        window, when the key may be forgotten, the session is looked for by its reference instead.
        """
        now = utc_now()
        if now >= request.expires_at:
            earliest = request.expires_at - timedelta(seconds=LONGEST_SESSION_SECONDS)
            made = made_before(sessions=self.list_sessions(created_after=earliest), request=request, now=now)
            if made:
                return made
        options: stripe.RequestOptions = {"idempotency_key": request.idempotency_key}
        with _asking():
            session = self._client.v1.checkout.sessions.create(_wanted(request), options)
        return session_word(_plain(session))

    def fetch_session(self, session_id: str) -> GatewaySession:
        """Return the gateway's present word, also when the money's id is all that is known."""
        with _asking():
            if not session_id.startswith(_MONEY_ID):
                session = self._client.v1.checkout.sessions.retrieve(session_id, {"expand": [_MONEY]})
                return session_word(_plain(session))
            found = self._client.v1.checkout.sessions.list({"payment_intent": session_id, "expand": [f"data.{_MONEY}"]})
            for session in _paged(found):
                return session_word(_plain(session))
        raise GatewayRefused("resource_missing", "The gateway refused: resource_missing.")

    def close_session(self, session_id: str) -> GatewaySession:
        """Make the session unpayable and return its state; a paid one is returned as it is, not closed."""
        try:
            with _asking():
                session = self._client.v1.checkout.sessions.expire(session_id)
        except GatewayRefused:
            word = self.fetch_session(session_id)
            if word.state is SessionState.OPEN:
                raise GatewayUnavailable("neither closed nor at its end") from None
            return word
        return replace(session_word(_plain(session)), state=SessionState.CLOSED)

    def list_sessions(self, *, created_after: datetime) -> Iterator[GatewaySession]:
        """Yield sessions, newest first. Instants there are whole seconds: the one it began in counts."""
        with _asking():
            found = self._client.v1.checkout.sessions.list(
                {"created": {"gte": int(created_after.timestamp())}, "limit": _PAGE, "expand": [f"data.{_MONEY}"]}
            )
            for session in _paged(found):
                if session.mode == "payment":
                    yield session_word(_plain(session))

    def create_refund(self, request: RefundRequest) -> GatewayRefund:
        """Give money back; the same idempotency key gives the same refund.

        It may be asked again days later, with a key Stripe has forgotten: one with our reference is not made twice.
        """
        payment_id = request.payment_id or self.fetch_session(request.session_id).payment_id
        if not payment_id:
            raise GatewayRefused("nothing_captured", "There is no money of this session to give back.")
        for earlier in self.list_refunds(session_id=request.session_id, payment_id=payment_id):
            if earlier.reference == request.reference:
                return earlier
        options: stripe.RequestOptions = {"idempotency_key": request.idempotency_key}
        with _asking():
            refund = self._client.v1.refunds.create(
                {
                    "payment_intent": payment_id,
                    "amount": count(request.amount),
                    "metadata": {"reference": request.reference},
                },
                options,
            )
        return self._refund(refund, session_id=request.session_id)

    def fetch_refund(self, *, refund_id: str, session_id: str) -> GatewayRefund:
        """Return the gateway's present word on a refund of this session."""
        with _asking():
            refund = self._client.v1.refunds.retrieve(refund_id)
        return self._refund(refund, session_id=session_id)

    def list_refunds(self, *, session_id: str, payment_id: str) -> Iterator[GatewayRefund]:
        """Yield every refund of one session's money, newest first; nothing is asked when there is no money."""
        payment_id = payment_id or self.fetch_session(session_id).payment_id
        if not payment_id:
            return
        with _asking():
            found = self._client.v1.refunds.list({"payment_intent": payment_id, "limit": _PAGE})
            for refund in _paged(found):
                yield self._refund(refund, session_id=session_id)

    def list_refunds_since(self, *, created_after: datetime) -> Iterator[GatewayRefund]:
        """Yield every refund made since then, newest first; they know their money, not its session."""
        with _asking():
            found = self._client.v1.refunds.list({"created": {"gte": int(created_after.timestamp())}, "limit": _PAGE})
            for refund in _paged(found):
                yield self._refund(refund, session_id="")

    def parse_callback(self, *, body: bytes, headers: Mapping[str, str], now: datetime) -> list[CallbackMessage]:
        """Verify the raw body and return its message, none for an event about nothing of ours; else CallbackInvalid.

        The library compares signatures; it would believe an event from the future, and knows only its own clock.
        """
        header = headers.get("stripe-signature", "")
        signed_at = next((item[2:] for item in header.split(",") if item.startswith("t=")), "")
        check_age(signed_at=signed_at, now=now)
        if not any(_signed(secret, body, header) for secret in settings.STRIPE_WEBHOOK_SECRETS):
            raise CallbackInvalid("no signature by a secret of ours")
        event = decoded(body, _EventBody)
        if event.livemode != settings.PAYMENT_LIVE_MODE:
            raise CallbackInvalid("of test mode where money is real, or the other way round")
        lead = next((field for kind, field in _LEADS.items() if event.type.startswith(kind)), "")
        about = event.data.object.get(lead)
        if not isinstance(about, str):
            return []
        check_names(event.id, event.type, about)
        try:
            occurred_at = instant(event.created)
        except ValueError as error:
            raise CallbackInvalid("of no time") from error
        concerns_refunds = event.type.startswith(_ABOUT_REFUNDS)
        return [CallbackMessage(event.id, event.type, about, occurred_at, concerns_refunds)]

    def _refund(self, said: stripe.Refund, *, session_id: str) -> GatewayRefund:
        return refund_word(_plain(said), session_id=session_id, live=self._live)


class _Transport(stripe.HTTPClient):
    """Carries the library's calls over our connections, with our time-outs.

    A read that timed out is not repeated, for the reason given in `GatewayHttp.send`.
    """

    name = "urllib3"

    def __init__(self) -> None:
        super().__init__()
        self._pool = connections()

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        post_data: Any = None,
        *,
        _usage: list[str] | None = None,
    ) -> tuple[Any, int, Mapping[str, str]]:
        try:
            status, answered, content = exchange(self._pool, method, url, body=post_data, headers=headers)
        except ReadTimeoutError as error:
            raise _broken("no answer in time", again=False) from error
        except HTTPError as error:
            raise _broken(type(error).__name__, again=True) from error
        return content, status, answered

    def close(self) -> None:
        self._pool.clear()


def _plain(said: Any) -> Any:
    """Return the library's object as dictionaries; it hands anything that is no object of Stripe's on as it came."""
    return said.to_dict() if isinstance(said, stripe.StripeObject) else said


def _paged(found: Any) -> Iterator[Any]:
    """Yield what a list holds, over all its pages; GatewayUnavailable for what is no list."""
    if not isinstance(found, stripe.ListObject):
        raise GatewayUnavailable("an answer in words we do not know")
    yield from found.auto_paging_iter()


def _broken(reason: str, *, again: bool) -> stripe.APIConnectionError:
    return stripe.APIConnectionError(reason, should_retry=again)  # type: ignore[no-untyped-call]  # the library's own


@contextmanager
def _asking() -> Iterator[None]:
    """Turn the library's errors into the port's."""
    try:
        yield
    except stripe.APIConnectionError as error:
        raise GatewayUnavailable(error.user_message or "no connection") from error
    except stripe.StripeError as error:
        code = error.code or (error.error.type if error.error else "")
        # The same key was used with another body: the session exists, and nothing was refused.
        refuses = isinstance(error, stripe.CardError | stripe.InvalidRequestError)
        raise verdict(
            gateway=StripeGateway.name,
            status=error.http_status or 0,
            code=code if isinstance(code, str) else "",
            refuses=refuses,
        ) from None
    except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        # What the library raises at an answer of somebody in between, who words errors otherwise.
        raise GatewayUnavailable("an answer in words we do not know") from error


def _wanted(request: SessionRequest) -> Any:
    reference = {"reference": request.reference}
    # The library's types list every currency and payment method there is; what is sent is checked there.
    return {
        "mode": "payment",
        "client_reference_id": request.reference,
        "metadata": reference,
        "payment_intent_data": {"metadata": reference},
        "line_items": [
            {
                "quantity": 1,
                "price_data": {
                    "currency": request.amount.currency.lower(),
                    "unit_amount": count(request.amount),
                    "product_data": {"name": request.reference},
                },
            }
        ],
        "success_url": request.return_url,
        "cancel_url": request.return_url,
        # The same on every call, as an idempotency key demands, and far enough ahead as long as the window lasts.
        "expires_at": math.ceil(request.expires_at.timestamp()) + SHORTEST_SESSION_SECONDS,
    }


def _signed(secret: str, body: bytes, header: str) -> bool:
    """Say whether this secret signed the body; whatever hostile input makes the library raise is a no."""
    try:
        stripe.WebhookSignature.verify_header(body, header, secret)
    except (stripe.SignatureVerificationError, ValueError, TypeError, AttributeError):
        return False
    return True
