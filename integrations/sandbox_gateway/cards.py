"""Test cards, and reading what the shopper typed. A card number never leaves this file: only its last four do."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple


class Card(NamedTuple):
    """What a test card does to the session it is used in."""

    number: str
    status: str
    failure_code: str | None
    hint: str


TEST_CARDS = (
    Card(number="4242 4242 4242 4242", status="paid", failure_code=None, hint="hint_pays"),
    Card(number="4000 0000 0000 0002", status="failed", failure_code="card_declined", hint="hint_declined"),
    Card(number="4000 0000 0000 9995", status="failed", failure_code="insufficient_funds", hint="hint_funds"),
    Card(number="4000 0000 0000 3220", status="processing", failure_code=None, hint="hint_processing"),
)
BY_NUMBER = {card.number.replace(" ", ""): card for card in TEST_CARDS}
NUMBER = re.compile(r"[0-9]{12,19}")
EXPIRY = re.compile(r"(0?[1-9]|1[0-2])\s*[/-]?\s*(20)?([0-9]{2})")
CVC = re.compile(r"[0-9]{3,4}")


class Charge(NamedTuple):
    """What the store may know of a card: its last four digits and what became of it."""

    status: str
    failure_code: str | None
    last4: str


def read_card(*, form: Mapping[str, str], now: datetime) -> Charge | dict[str, str]:
    """Return the charge a form asks for, or the names of the error texts by field."""
    number = re.sub(r"[\s-]", "", form.get("card_number", ""))
    errors: dict[str, str] = {}
    if not NUMBER.fullmatch(number):
        errors["card_number"] = "error_number"
    elif number not in BY_NUMBER:
        errors["card_number"] = "error_not_a_test_card"
    expiry = EXPIRY.fullmatch(form.get("expiry", "").strip())
    if expiry is None:
        errors["expiry"] = "error_expiry"
    elif (2000 + int(expiry[3]), int(expiry[1])) < (now.year, now.month):
        errors["expiry"] = "error_expired"
    if not CVC.fullmatch(form.get("cvc", "").strip()):
        errors["cvc"] = "error_cvc"
    if errors:
        return errors
    card = BY_NUMBER[number]
    return Charge(status=card.status, failure_code=card.failure_code, last4=number[-4:])
