"""Waiting for what other processes do in their own time."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

# Longer than the lease of a mail run whose worker was killed, for which the next one waits; and than a payment window.
PATIENCE_SECONDS = 180.0


def eventually(what: str, look: Callable[[], T | None], *, seconds: float = PATIENCE_SECONDS) -> T:
    """Look until something truthy is there and return it; fail with `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"Waited {seconds:g} s for {what}; last seen: {found!r}"
        time.sleep(0.1)
    return found
