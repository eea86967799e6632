"""What is known about people and API keys."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import connection
from django.db.models import Q

from shop.kernel.auth.dto import UserView
from shop.kernel.auth.models import ApiKey, User

_STANDING = "SELECT is_guest, is_staff, password FROM accounts_user WHERE id = %s AND is_active"


@dataclass(frozen=True, slots=True)
class Standing:
    """What a token's claims are checked against when it matters."""

    guest: bool
    staff: bool
    encoded_password: str


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """What is stored about an API key."""

    id: UUID
    name: str
    prefix: str
    digest: bytes
    scopes: tuple[str, ...]
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None

    def usable(self, *, now: datetime) -> bool:
        """Return whether the key opens doors at this instant."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


def standing(*, user_id: UUID) -> Standing | None:
    """Return how somebody stands now; None when there is no such account or it is closed."""
    with connection.cursor() as cursor:
        cursor.execute(_STANDING, [user_id])
        found = cursor.fetchone()
    return Standing(*found) if found else None


def user(*, user_id: UUID) -> UserView | None:
    """Return an account as its owner sees it; None when there is none."""
    found = User.objects.filter(pk=user_id).values_list("id", "email", "name", "is_guest", "is_staff").first()
    return UserView(*found) if found else None


def api_key(*, prefix: str) -> KeyRecord | None:
    """Return the key with this prefix, usable or not; None when there is none."""
    return next(iter(_key_records(Q(prefix=prefix))), None)


def api_keys() -> list[KeyRecord]:
    """Return every key that was ever issued, newest first."""
    return _key_records(Q())


def _key_records(which: Q) -> list[KeyRecord]:
    rows = ApiKey.objects.filter(which).values_list(
        "id", "name", "prefix", "digest", "scopes", "expires_at", "revoked_at", "last_used_at"
    )
    return [KeyRecord(row[0], row[1], row[2], bytes(row[3]), tuple(row[4]), *row[5:]) for row in rows]
