"""What is left of somebody's sessions."""

from uuid import UUID

from shop.kernel.auth.models import RefreshFamily
from shop.kernel.clock import utc_now


def open_sessions(user_id: UUID) -> int:
    """Return on how many devices somebody is logged in."""
    return RefreshFamily.objects.filter(user_id=user_id, revoked_at=None, expires_at__gt=utc_now()).count()
