"""What can happen next in a simulated world, and how what happened ends."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import Any, Protocol
from uuid import UUID

from django.db import OperationalError

from integrations.simulator.faults import Faults
from integrations.simulator.gateway import LyingGateway
from integrations.simulator.turns import Failure, Killed
from payments.ports import GatewayRefused, GatewayUnavailable
from shop.kernel.errors import Refusal


class Broken(Exception):
    """An invariant does not hold, or something failed in a way nobody anticipated."""

    def __init__(self, invariant: str, detail: str) -> None:
        super().__init__(f"{invariant}: {detail}")
        self.invariant, self.detail = invariant, detail


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that can happen now; the heavier, the likelier. `do` says in a word what came of it."""

    weight: float
    label: str
    do: Callable[[], str]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a job ended: `done` with a value, or in another word without one."""

    word: str
    value: Any = None
    code: str = ""

    @property
    def is_done(self) -> bool:
        """Whether there is an answer."""
        return self.word == "done"


class World(Protocol):
    """What whoever acts needs of the world."""

    dice: Random
    faults: Faults
    gateway: LyingGateway
    calm: bool

    def now(self) -> datetime:
        """Return the world's time."""

    def start(self, label: str, job: Callable[[], Any], end: Callable[[Ended], None]) -> str:
        """Give the job to an idle process; `end` is called when it is over."""

    def count(self, what: str) -> None:
        """Add one to what happened."""

    def new_id(self) -> UUID:
        """Make an id."""


def ended(result: Any) -> Ended:
    """Put a job's result in a word; Broken for an error nobody anticipated."""
    if not isinstance(result, Failure):
        return Ended("done", result)
    match result.error:
        case Killed():
            return Ended("killed")
        case Refusal() as refusal:
            return Ended("refused", code=refusal.code)
        case GatewayUnavailable() | GatewayRefused():
            return Ended("gateway failed")
        case OperationalError():
            return Ended("busy")
        case _:
            raise Broken("no error but those that are anticipated", result.text)


def is_busy(error: BaseException | None) -> bool:
    """Whether an error, or what caused it, is a database that was too busy to answer."""
    while error is not None:
        if isinstance(error, OperationalError):
            return True
        error = error.__cause__ or error.__context__
    return False
