"""What all adapters share: which answers are refusals, words we do not know, and messages nobody vouches for."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any, TypeVar

import msgspec
import structlog
from django.conf import settings

from payments.dto import GatewayRefund, GatewaySession, SessionRequest
from payments.ports import CallbackInvalid, GatewayRefused, GatewayUnavailable
from shop.kernel.money import Money

T = TypeVar("T")
Word = TypeVar("Word", GatewaySession, GatewayRefund)
LONGEST_NAME = 200
LARGEST_AMOUNT = 2**63 - 1
# Only these say that the request itself will never do. Whatever else it is, it says nothing about the payment.
REFUSING_STATUSES = frozenset({400, 402, 404, 422})
# A call on its way when the window ended may still be carried out a moment later.
SETTLING_SECONDS = 600
_CREDENTIAL_STATUSES = frozenset({401, 403})

log = structlog.get_logger(__name__)


def verdict(*, gateway: str, status: int, code: str, refuses: bool | None = None) -> Exception:
    """Return what to raise for an answer that is not the one hoped for: GatewayRefused, or GatewayUnavailable.

    `refuses` overrules what the status alone would mean. Nothing of the answer but its code goes any further: a
    provider's sentence may quote a key or a card.
    """
    code = code[:LONGEST_NAME] if code.isprintable() else ""
    if status in _CREDENTIAL_STATUSES:
        log.error("gateway.credentials_refused", gateway=gateway, status=status, code=code)
    if code and (status in REFUSING_STATUSES if refuses is None else refuses):
        return GatewayRefused(code, f"The gateway refused: {code}.")
    return GatewayUnavailable(f"status {status} {code}".rstrip())


@contextmanager
def known_words() -> Iterator[None]:
    """Turn what cannot be read inside into GatewayUnavailable: an answer we do not understand is no answer."""
    try:
        yield
    except (msgspec.ValidationError, ValueError, TypeError) as error:
        raise GatewayUnavailable("an answer in words we do not know") from error


def converted(body: Any, kind: type[T]) -> T:
    """Return the JSON value as this Struct; GatewayUnavailable when it is none."""
    with known_words():
        return msgspec.convert(body, kind)


def keepable(word: Word) -> Word:
    """Return a gateway's word if our tables can hold it; ValueError when they cannot."""
    if not (word.refund_id if isinstance(word, GatewayRefund) else word.session_id):
        raise ValueError("a word about nothing")
    for field in fields(word):
        match getattr(word, field.name):
            case str(text) if "\x00" in text or (field.name.endswith("_id") and len(text) > LONGEST_NAME):
                raise ValueError(f"{field.name} fits into no column")
            case str(text):
                # A lone surrogate is no character.
                text.encode()
            case Money(amount=amount) if abs(amount) > LARGEST_AMOUNT:
                raise ValueError(f"{field.name} fits into no column")
    return word


def decoded(body: bytes, kind: type[T]) -> T:
    """Return a callback's body as this Struct; CallbackInvalid when it is none."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CallbackInvalid("not an event") from error


def check_age(*, signed_at: str, now: datetime) -> None:
    """Refuse what was signed too long ago, and what claims to come from the future. Seconds since 1970."""
    try:
        age = abs(now.timestamp() - int(signed_at))
    except (ValueError, OverflowError) as error:
        raise CallbackInvalid("no time stamp") from error
    if age > settings.CALLBACK_TOLERANCE_SECONDS:
        raise CallbackInvalid("too old or too new")


def check_names(*names: str) -> None:
    """Refuse ids and types that are empty, endless or unprintable."""
    if not all(0 < len(name) <= LONGEST_NAME and name.isprintable() for name in names):
        raise CallbackInvalid("a name nobody would give")


def made_before(*, sessions: Iterable[GatewaySession], request: SessionRequest, now: datetime) -> GatewaySession | None:
    """Return the session an earlier call made for this request, found by its reference in the gateway's list.

    For gateways that forget idempotency keys: asked with a forgotten one they would make a second session. None when
    there is none and one may still be made; after the payment's window GatewayUnavailable for a while, since a call
    may be on its way, and then GatewayRefused.
    """
    for session in sessions:
        if session.reference == request.reference:
            return session
    if now < request.expires_at:
        return None
    if now < request.expires_at + timedelta(seconds=SETTLING_SECONDS):
        raise GatewayUnavailable("no such session in the gateway's list yet")
    raise GatewayRefused("session_never_made", "The gateway never made a session for this payment.")
