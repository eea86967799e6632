"""The text of an API key: `shop_<prefix>_<secret>`. The prefix finds the row, the digest proves the whole."""

import re
import secrets
from hashlib import sha256

_KEY = re.compile(r"shop_([0-9a-f]{12})_[A-Za-z0-9_-]{43}")


def new_key() -> str:
    """Return a fresh key: 48 bits to find it by and 256 to prove it with."""
    return f"shop_{secrets.token_hex(6)}_{secrets.token_urlsafe(32)}"


def prefix_of(key: str) -> str | None:
    """Return the prefix of a key; None for what is no key at all."""
    found = _KEY.fullmatch(key)
    return found[1] if found else None


def digest_of(key: str) -> bytes:
    """Return what is stored of the key. It is as random as the digest is long: no slow hash is needed."""
    return sha256(key.encode()).digest()
