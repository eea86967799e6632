"""What must not be read in a log: values whose name says so, and values that look like a secret wherever they are."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

MASK = "***"

_SECRET_NAMES = re.compile(
    r"(?i)(authori[sz]ation|passw(or)?d|secret|token|credential|api[_-]?key|card|cvc|cvv|iban|signature|cookie)"
)
# Each with a sign that a text must have at all: most lines have none of them, and cost no search.
_SECRET_LOOKS = (
    # Bearer and Basic credentials, with or without the header's name before them.
    (" ", re.compile(r"(?i)(?<=\bbearer )[^\s'\",;]+|(?<=\bbasic )[A-Za-z0-9+/=_-]{8,}")),
    # JSON Web Tokens.
    ("eyJ", re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.?[A-Za-z0-9_-]*")),
    # Our own API keys, and keys and webhook secrets as gateways write them.
    ("_", re.compile(r"\b(?:shop_[0-9a-f]{12}|[sprk]k_(?:live|test)|whsec|live|test)_[A-Za-z0-9+/=_-]{12,}")),
    # The password in an address such as postgresql://user:password@host.
    ("://", re.compile(r"(?<=://)([^\s:/@]*):[^\s/@]+(?=@)")),
    # Addresses of people.
    ("@", re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")),
)
# Thirteen to nineteen digits, as cards have them, that are not part of an id.
_CARD = re.compile(r"(?<![\w.-])[3-6]\d(?:[ -]?\d){11,17}(?![\w-])")
_SHORTEST_CARD = 13
_LOWEST_CARD = 10 ** (_SHORTEST_CARD - 1)
_DEEPEST = 8


def mask(value: Any, *, name: str = "", depth: int = 0) -> Any:  # noqa: PLR0911  one return a shape
    """Return the value without its secrets: masked whole by its name, or in part by what it looks like."""
    match value:
        case None | bool() | float():
            return value
        case _ if _names_a_secret(name) or depth > _DEEPEST:
            return MASK
        case str():
            return mask_text(value)
        case int():
            return MASK if value >= _LOWEST_CARD and mask_text(str(value)) == MASK else value
        case Mapping():
            return {key: mask(inner, name=str(key), depth=depth + 1) for key, inner in value.items()}
        case list() | tuple() | set() | frozenset():
            return [mask(inner, depth=depth + 1) for inner in value]
        case _:
            # An object is logged as the sentence it makes of itself; exceptions do that with what they were told.
            return mask_text(str(value))


@lru_cache(maxsize=1_000)
def _names_a_secret(name: str) -> bool:
    return _SECRET_NAMES.search(name) is not None


def mask_text(text: str) -> str:
    """Return the text with everything that looks like a secret masked."""
    for sign, looks in _SECRET_LOOKS:
        if sign in text:
            text = looks.sub(_masked, text)
    if len(text) < _SHORTEST_CARD:
        return text
    return _CARD.sub(lambda found: MASK if _is_card(found[0]) else found[0], text)


def _masked(found: re.Match[str]) -> str:
    user = found[1] if found.re.groups else None
    return MASK if user is None else f"{user}:{MASK}"


def _is_card(text: str) -> bool:
    """Tell by Luhn's check digit: nine of ten numbers that are no cards do not have it."""
    digits = [int(sign) for sign in reversed(text) if sign.isdigit()]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[1::2]]
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0
