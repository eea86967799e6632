"""Canaries: what is secret never leaves, whatever it is called and wherever it lies; what is not stays readable."""

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from orders.serializers import FulfilOrderRequest
from settings.masking import mask, mask_text
from shop.kernel.auth.api_keys import new_key
from shop.kernel.ids import new_id, new_order_number
from shop.kernel.looks import MASK

JWT = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
CARDS = ["4242424242424242", "4242 4242 4242 4242", "4000-0000-0000-0002", "378282246310005", "6011111111111117"]


@pytest.mark.parametrize(
    "name",
    [
        *("password", "new_password", "passwd", "secret", "SANDBOX_GATEWAY_SECRET", "access_token", "refresh_token"),
        *("Authorization", "api_key", "X-API-Key", "apikey", "card", "card_number", "cvc", "cvv", "iban"),
        *("webhook-signature", "Cookie", "sessioncookie", "credentials"),
    ],
)
def test_a_value_with_a_secret_s_name_is_masked_whatever_it_is(name: str) -> None:
    for value in ("canary", 4711, ["canary"], {"inner": "canary"}, ("canary",)):
        assert mask(value, name=name) == MASK


@pytest.mark.parametrize("name", ["event", "order_id", "amount", "gateway", "caused_by", "path", "status", "attempts"])
def test_other_names_keep_their_values(name: str) -> None:
    assert mask("canary", name=name) == "canary"


@pytest.mark.parametrize("card", CARDS)
def test_a_tracking_number_that_looks_like_a_card_is_kept_but_not_logged(card: str) -> None:
    assert FulfilOrderRequest(data={"tracking": card}).is_valid()
    assert mask({"tracking": card}) == {"tracking": MASK}


@pytest.mark.parametrize("card", CARDS)
def test_a_card_number_is_masked_wherever_it_stands(card: str) -> None:
    assert mask_text(f"paid with {card}, thanks") == f"paid with {MASK}, thanks"
    assert mask_text(card) == MASK
    assert mask(int(card.replace(" ", "").replace("-", ""))) == MASK


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (f"Bearer {JWT}", "Bearer ***"),
        ("authorization: bearer abc.def", "authorization: bearer ***"),
        ("Basic c2FtOnNhbTpzYW0=", "Basic ***"),
        (f"the token {JWT} is old", "the token *** is old"),
        pytest.param(f"key {new_key()} used", "key *** used", id="API key"),
        ("whsec_c2FuZGJveC1nYXRld2F5LWRlbW8=", "***"),
        ("sk_live_51H8abcdefghijkl and test_dHar4XY7LxRs12345", "*** and ***"),
        ("postgresql://shop:s3cret@db.internal/shop", "postgresql://shop:***@db.internal/shop"),
        ("redis://:pw@127.0.0.1:6379/0", "redis://:***@127.0.0.1:6379/0"),
        ("Key (email)=(jane.doe+x@mail.example.com) already exists.", "Key (email)=(***) already exists."),
    ],
)
def test_what_looks_like_a_secret_is_masked(text: str, masked: str) -> None:
    assert mask_text(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-22T16:40:14.123456Z",
        "request.answered",
        "GET /orders/019a1b2c-1234-7123-8123-123456789012",
        "1700000000000",
        "4242424242424241",
        "offset 4242424242",
        "a basic thing",
        "shop.kernel.http.middleware",
        "test_dbl",
        "celery@worker",
        "1 < 2 and 3 > 2",
        "",
    ],
)
def test_what_is_none_stays_readable(text: str) -> None:
    assert mask_text(text) == text


@given(number=some.builds(new_order_number), row=some.builds(new_id), amount=some.integers(0, 10**9))
def test_ids_numbers_and_amounts_stay_readable(number: str, row: Any, amount: int) -> None:
    line = {"number": number, "order_id": str(row), "total": amount, "key": row, "nothing": None, "ok": True, "ms": 1.5}

    assert mask(line) == {**line, "key": str(row)}


@dataclass
class Holder:
    """Says more about itself than it should."""

    card_holder: str


class Insolent(Exception):
    """Repeats what a database told it."""


def test_objects_are_masked_as_the_sentence_they_make_of_themselves() -> None:
    assert mask(Insolent("duplicate: jane@example.com")) == "duplicate: ***"
    assert "jane@example.com" not in mask(Holder("jane@example.com"))


def test_what_lies_deep_is_masked_and_what_lies_too_deep_is_left_out() -> None:
    assert mask({"a": [{"b": ({"token": "canary"},)}]}) == {"a": [{"b": [{"token": MASK}]}]}
    deep: Any = "canary"
    for _ in range(30):
        deep = [deep]
    assert "canary" not in str(mask(deep))


@given(some.recursive(some.text() | some.integers() | some.none() | some.floats(), some.lists, max_leaves=10))
def test_anything_can_be_masked(value: Any) -> None:
    mask(value)
