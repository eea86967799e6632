"""Reading what merchants send: every wrong thing becomes a refusal that names it."""

import re
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from .errors import InvalidJson, InvalidRequest
from .instants import parse_instant, to_text
from .refunds import NewRefund
from .sessions import NewSession
from .wsgi import Request

BODY_LIMIT = 65_536
MAX_AMOUNT = 10**12
MAX_PAGE = 100
LAST_SEQ = 2**63 - 1
MAX_SESSION_SECONDS = 7 * 86_400
CURRENCY = re.compile(r"[A-Z]{3}")
# An address goes into a Location header and into a page: no blanks, no control characters, ASCII only.
ADDRESS = re.compile(r"[\x21-\x7e]{1,2048}")
KEY = re.compile(r"[\x20-\x7e]{1,255}")


def read_object(*, request: Request) -> dict[str, Any]:
    """Return the JSON object in the body; raises InvalidJson, BodyTooLarge."""
    try:
        body = msgspec.json.decode(request.body(limit=BODY_LIMIT))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidJson("The body is not JSON.") from error
    if not isinstance(body, dict):
        raise InvalidJson("The body is not a JSON object.")
    return body


def read_new_session(*, body: dict[str, Any], now: datetime) -> NewSession:
    """Return the checked fields of a new session; raises InvalidRequest."""
    currency = read_text(body=body, name="currency", limit=3)
    if not CURRENCY.fullmatch(currency):
        raise InvalidRequest("currency must be three capital letters (ISO 4217).", param="currency")
    return NewSession(
        amount=read_amount(body=body),
        currency=currency,
        reference=read_text(body=body, name="reference", limit=200),
        return_url=read_address(body=body),
        expires_at=read_expiry(body=body, now=now),
    )


def read_new_refund(*, body: dict[str, Any]) -> NewRefund:
    """Return the checked fields of a new refund; raises InvalidRequest."""
    return NewRefund(
        session_id=read_text(body=body, name="session_id", limit=100),
        amount=read_amount(body=body),
        reference="" if body.get("reference") is None else read_text(body=body, name="reference", limit=200),
    )


def read_text(*, body: dict[str, Any], name: str, limit: int) -> str:
    """Return a required text of 1 to `limit` printable characters; raises InvalidRequest."""
    text = body.get(name)
    if not isinstance(text, str) or not 1 <= len(text) <= limit or not text.isprintable():
        raise InvalidRequest(f"{name} must be a text of 1 to {limit} printable characters.", param=name)
    return text


def read_amount(*, body: dict[str, Any]) -> int:
    """Return the amount in minor units; raises InvalidRequest for anything but a positive whole number."""
    amount = body.get("amount")
    if type(amount) is not int or not 0 < amount <= MAX_AMOUNT:
        raise InvalidRequest("amount must be a positive whole number of minor units.", param="amount")
    return amount


def read_address(*, body: dict[str, Any]) -> str:
    """Return the address the shopper goes back to; raises InvalidRequest unless it is an absolute http(s) one."""
    address = read_text(body=body, name="return_url", limit=2048)
    try:
        parts = urlsplit(address)
        sound = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    if not sound or not ADDRESS.fullmatch(address):
        raise InvalidRequest("return_url must be an absolute http or https address.", param="return_url")
    return address


def read_expiry(*, body: dict[str, Any], now: datetime) -> str | None:
    """Return the text of the instant a session is to expire at, None when left out; raises InvalidRequest."""
    given = body.get("expires_at")
    if given is None:
        return None
    try:
        instant = parse_instant(text=given)
    except (TypeError, ValueError) as error:
        message = "expires_at must be an ISO 8601 instant with an offset."
        raise InvalidRequest(message, param="expires_at") from error
    if (instant - now).total_seconds() > MAX_SESSION_SECONDS:
        raise InvalidRequest("expires_at must be within seven days.", param="expires_at")
    return to_text(instant=instant)


def read_key(*, request: Request) -> str | None:
    """Return the Idempotency-Key, None without one; raises InvalidRequest."""
    key = request.header("idempotency-key")
    if key and not KEY.fullmatch(key):
        raise InvalidRequest("Idempotency-Key must be 1 to 255 printable ASCII characters.", param="Idempotency-Key")
    return key or None


def read_query(*, request: Request, allowed: set[str]) -> dict[str, str]:
    """Return the query's parameters; raises InvalidRequest for unknown, empty or repeated ones."""
    query = parse_qs(request.query, keep_blank_values=True)
    for name, values in query.items():
        if name not in allowed or len(values) != 1 or not values[0].isprintable() or not values[0]:
            raise InvalidRequest(f"Allowed, once each: {', '.join(sorted(allowed))}.", param=name[:40])
    return {name: values[0] for name, values in query.items()}


def read_limit(*, query: dict[str, str]) -> int:
    """Return how many objects a page holds; raises InvalidRequest."""
    text = query.get("limit", "50")
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:4]) <= MAX_PAGE):
        raise InvalidRequest(f"limit must be between 1 and {MAX_PAGE}.", param="limit")
    return int(text)


def read_start(*, query: dict[str, str]) -> tuple[str, int]:
    """Return the point after which a page starts; raises InvalidRequest."""
    name = "cursor" if "cursor" in query else "created_after"
    if name not in query:
        return "", 0
    instant, _, seq = query[name].partition("~")
    try:
        # A plus sign that was not quoted arrives as a blank.
        start = to_text(instant=parse_instant(text=instant.replace(" ", "+")))
        return start, min(int(seq), LAST_SEQ) if name == "cursor" else LAST_SEQ
    except ValueError as error:
        raise InvalidRequest(f"{name} is not understood.", param=name) from error


def next_cursor(*, page: list[Any], limit: int) -> str | None:
    """Return where the next page starts, given one object more than the page holds."""
    if len(page) <= limit:
        return None
    last = page[limit - 1]
    return f"{last.created_at}~{last.seq}"
