"""What notifications need from outside, as a Protocol that settings fill in."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


class AddressRefused(Exception):
    """The shop calls no such address: its form, its port, or where its name leads is not allowed."""


class NoAnswer(Exception):
    """Nothing that could be understood came back in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a merchant's system answered; `body` is its beginning. Redirects are answers like any other."""

    status: int
    body: str = ""
    retry_after_seconds: int | None = None


class WebhookSender(Protocol):
    """Carries a webhook to a merchant's system, and to nobody inside."""

    def check(self, *, url: str) -> None:
        """Return if the shop may call this address now; AddressRefused with the reason otherwise."""

    def post(self, *, url: str, headers: Mapping[str, str], body: bytes, timeout_seconds: float) -> Answer:
        """Check the address, post to exactly what was checked, and return the answer; AddressRefused, NoAnswer."""
