"""The one place where the time is read. Edges call it and pass `now` inward."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Return the present instant, aware, in UTC."""
    return datetime.now(UTC)


def rfc3339(instant: datetime) -> str:
    """Write an aware instant as RFC 3339 in UTC with milliseconds: `2026-11-22T16:40:14.123Z`."""
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
