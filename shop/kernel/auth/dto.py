"""Shapes of callers, as views and services see them."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Caller:
    """A person with a valid token; DRF takes it for `request.user`."""

    id: UUID
    guest: bool
    staff: bool

    @property
    def is_authenticated(self) -> bool:
        """Somebody is known to be calling."""
        return True


@dataclass(frozen=True, slots=True)
class ApiKeyCaller:
    """Another system of the house, known by its key."""

    key_id: UUID
    name: str
    scopes: frozenset[str]

    @property
    def is_authenticated(self) -> bool:
        """Somebody is known to be calling."""
        return True


@dataclass(frozen=True, slots=True)
class UserView:
    """An account as its owner sees it; guests have no e-mail and no name."""

    id: UUID
    email: str | None
    name: str
    guest: bool
    staff: bool


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a frontend sends with each call, and what it trades for the next pair."""

    access: str
    refresh: str


@dataclass(frozen=True, slots=True)
class Login:
    """Somebody who has just become known, and their first pair of tokens."""

    user: UserView
    tokens: Tokens
