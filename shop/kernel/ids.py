"""Identifiers: UUIDv7 for machines, order numbers that can be read over a phone for people."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from uuid import UUID

from uuid_utils.compat import uuid7

# Crockford's base 32 leaves out I, L, O and U: what is read aloud cannot be misheard as another sign.
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_NUMBER_LENGTH = 9
# Who makes the ids instead of chance: simulations, which must come out the same twice.
_made_by: ContextVar[Callable[[], UUID] | None] = ContextVar("ids", default=None)


def new_id() -> UUID:
    """Return a fresh UUIDv7 (RFC 9562): sorted by the time of its making, so indexes grow at one end."""
    make = _made_by.get()
    return uuid7() if make is None else make()


@contextmanager
def ids_made_by(make: Callable[[], UUID]) -> Iterator[None]:
    """Let `make` make the ids of this context; a thread begins with a context of its own."""
    token = _made_by.set(make)
    try:
        yield
    finally:
        _made_by.reset(token)


def as_uuid(text: str) -> UUID | None:
    """Parse an identifier as callers send it; None when it is not one, so that callers can answer 404."""
    try:
        return UUID(text)
    except ValueError:
        return None


def new_order_number() -> str:
    """Return a random order number such as `R7KD-2MNP-XW`: nine random signs and a check sign.

    Forty-five random bits: the number tells nobody how many orders the shop takes; the database's unique
    constraint judges the one-in-a-million clash.
    """
    body = "".join(secrets.choice(_ALPHABET) for _ in range(_NUMBER_LENGTH))
    whole = body + _check_sign(body)
    return f"{whole[:4]}-{whole[4:8]}-{whole[8:]}"


def normal_order_number(text: str) -> str | None:
    """Return the stored form of a number as a person typed it, or None when its check sign does not fit."""
    signs = text.upper().replace("-", "").replace(" ", "").translate(str.maketrans("OIL", "011"))
    if len(signs) != _NUMBER_LENGTH + 1 or any(sign not in _ALPHABET for sign in signs):
        return None
    if _check_sign(signs[:-1]) != signs[-1]:
        return None
    return f"{signs[:4]}-{signs[4:8]}-{signs[8:]}"


def _check_sign(body: str) -> str:
    """Return the check sign by Luhn's algorithm in base 32: one wrong sign or two swapped ones show."""
    total = 0
    for place, sign in enumerate(reversed(body)):
        value = _ALPHABET.index(sign) * (2 - place % 2)
        total += value // 32 + value % 32
    return _ALPHABET[-total % 32]
