"""What must not be read in a log: values whose name says so, and values that look like a secret wherever they are."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from shop.kernel.looks import MASK, masked

_SECRET_NAMES = re.compile(
    r"(?i)(authori[sz]ation|passw(or)?d|secret|token|credential|api[_-]?key|card|cvc|cvv|iban|signature|cookie)"
)
# Addresses of people.
_EMAIL = re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
_LOWEST_CARD = 10**12
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
    """Return the text with everything that looks like a secret or like somebody's address masked."""
    text = masked(text)
    return _EMAIL.sub(MASK, text) if "@" in text else text
