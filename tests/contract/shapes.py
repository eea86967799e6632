"""The shapes of the HTTP contract: every field that is there, and none besides."""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

# A shape is a dict (exactly these members), a list of one shape, a check of one value, or the value itself.
Shape = Any
Check = Callable[[Any], bool]

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def text(value: Any) -> bool:
    return isinstance(value, str)


def number(value: Any) -> bool:
    return type(value) is int


def flag(value: Any) -> bool:
    return isinstance(value, bool)


def identifier(value: Any) -> bool:
    return isinstance(value, str) and str(UUID(value)) == value


def instant(value: Any) -> bool:
    """RFC 3339 in UTC with milliseconds."""
    return isinstance(value, str) and bool(_TIME.fullmatch(value)) and bool(datetime.fromisoformat(value))


def one_of(*values: object) -> Check:
    return lambda value: value in values


def nullable(shape: Shape) -> Check:
    return lambda value: value is None or not differences(value, shape)


def differences(value: Any, shape: Shape, at: str = "") -> list[str]:
    """Name every place in which a document is not of its shape."""
    if isinstance(shape, dict):
        if not isinstance(value, dict) or set(value) != set(shape):
            return [f"{at or '/'}: {sorted(value) if isinstance(value, dict) else value!r} is not {sorted(shape)}"]
        return [found for name in shape for found in differences(value[name], shape[name], f"{at}/{name}")]
    if isinstance(shape, list):
        if not isinstance(value, list):
            return [f"{at}: {value!r} is no list"]
        return [found for place, one in enumerate(value) for found in differences(one, shape[0], f"{at}/{place}")]
    if callable(shape):
        return [] if shape(value) else [f"{at}: {value!r} is not {getattr(shape, '__name__', shape)}"]
    return [] if value == shape and type(value) is type(shape) else [f"{at}: {value!r} is not {shape!r}"]


def require(value: Any, shape: Shape) -> None:
    """Fail with every difference."""
    assert differences(value, shape) == []


MONEY = {"amount": number, "currency": "EUR"}
TOKENS = {"access": text, "refresh": text}
ADDRESS = {"name": text, "line1": text, "city": text, "postal_code": text, "country": text}
LINE = {
    "sku": text,
    "name": text,
    "quantity": number,
    "unit_price": MONEY,
    "discount": MONEY,
    "tax": MONEY,
    "line_total": MONEY,
}
TOTALS = {"subtotal": MONEY, "discount": MONEY, "shipping": MONEY, "tax": MONEY, "total": MONEY}
PRODUCT = {
    "sku": text,
    "name": text,
    "description": text,
    "image_url": text,
    "price": MONEY,
    "available": lambda value: number(value) and 0 <= value <= 100,
    "category": text,
}
CART = {
    "id": identifier,
    "user_id": identifier,
    "currency": "EUR",
    "version": number,
    "lines": [
        {
            "sku": text,
            "name": text,
            "image_url": text,
            "quantity": number,
            "unit_price": MONEY,
            "line_total": MONEY,
            "available": number,
        }
    ],
    "item_count": number,
    "subtotal": MONEY,
    "warnings": [{"code": one_of("insufficient_stock", "price_changed", "unavailable"), "sku": text, "detail": text}],
}
CHECKOUT = {
    "id": identifier,
    "status": one_of("open", "ordered", "released", "expired"),
    "lines": [LINE],
    "totals": TOTALS,
    "prices_include_tax": True,
    "email": text,
    "shipping_address": ADDRESS,
    "billing_address": ADDRESS,
    "shipping_method": text,
    "quote_hash": text,
    "expires_at": instant,
}
ORDER_IN_LIST = {
    "id": identifier,
    "number": text,
    "status": one_of("pending_payment", "paid", "fulfilled", "expired", "cancelled"),
    "payment_status": one_of("unpaid", "pending", "paid", "overpaid", "partially_refunded", "refunded"),
    "lines": [LINE],
    "totals": TOTALS,
    "email": text,
    "shipping_address": ADDRESS,
    "billing_address": ADDRESS,
    "shipping_method": text,
    "payment_deadline": instant,
    "created_at": instant,
    "updated_at": instant,
}
ORDER = {**ORDER_IN_LIST, "timeline": [{"at": instant, "type": text, "detail": text}]}
INTERNAL_ORDER = {
    **ORDER,
    "user_id": identifier,
    "guest": flag,
    "needs_review": flag,
    "captured": MONEY,
    "refunded": MONEY,
    "tracking": text,
}
PAYMENT = {
    "id": identifier,
    "order_id": identifier,
    "gateway": "sandbox",
    "status": one_of("created", "pending", "unknown", "processing", "succeeded", "failed", "cancelled", "expired"),
    "amount": MONEY,
    "redirect_url": nullable(text),
    "expires_at": instant,
    "refunded": MONEY,
    "failure": nullable({"code": text, "detail": text}),
}
REFUND = {
    "id": identifier,
    "payment_id": identifier,
    "amount": MONEY,
    "status": one_of("requested", "submitted", "unknown", "succeeded", "rejected", "reversed"),
    "reason": text,
}
STOCK = {"sku": text, "on_hand": number, "held": number, "available": number}
PROBLEM = {"type": text, "title": text, "status": number, "detail": text, "code": text}
FIELD_PROBLEM = {"pointer": text, "code": text, "detail": text}


def page_of(shape: Shape) -> Shape:
    return {"results": [shape], "next": nullable(text), "previous": nullable(text)}
