"""What the demo prints: one line a step, and a progress line while it waits."""

import sys
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

WAIT_SECONDS = 60.0
_SPINNER = "|/-\\"


class WaitedInVain(Exception):
    """What the demo waited for did not come."""


def title(text: str) -> None:
    """Print a headline."""
    print(f"\n{text}\n{'-' * len(text)}", flush=True)


def step(name: str, detail: str) -> None:
    """Print one finished step."""
    print(f"  ok  {name:<22} {detail}", flush=True)


def wait_for(what: str, look: Callable[[], T | None], *, seconds: float = WAIT_SECONDS) -> tuple[T, float]:
    """Look until something is there; return it and the seconds it took. WaitedInVain after `seconds`."""
    began = time.monotonic()
    turns = 0
    while (found := look()) is None:
        waited = time.monotonic() - began
        if waited > seconds:
            _wipe()
            raise WaitedInVain(f"Waited {seconds:.0f} s for {what}.")
        if sys.stdout.isatty():
            print(f"\r  {_SPINNER[turns % 4]}   waiting for {what} ... {waited:4.1f} s", end="", flush=True)
        elif turns == 0:
            print(f"  ..  waiting for {what}", flush=True)
        turns += 1
        time.sleep(0.1)
    _wipe()
    return found, time.monotonic() - began


def _wipe() -> None:
    if sys.stdout.isatty():
        print("\r" + " " * 79 + "\r", end="", flush=True)
