"""Instants as text: UTC, microseconds, fixed width, so that they sort as strings in SQLite."""

from datetime import UTC, datetime, timedelta

FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"


def utc_now() -> datetime:
    """Return the present instant; only the edges of the process call this."""
    return datetime.now(UTC)


def to_text(*, instant: datetime) -> str:
    """Return an aware instant as `2026-11-22T18:41:00.000000Z`."""
    return instant.astimezone(UTC).strftime(FORMAT)


def later(*, now: datetime, seconds: float) -> str:
    """Return the text of the instant this many seconds after `now`."""
    return to_text(instant=now + timedelta(seconds=seconds))


def parse_instant(*, text: str) -> datetime:
    """Return the aware instant that an ISO 8601 text names; ValueError without an offset or if it is no instant."""
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError("an instant needs an offset, such as Z")
    try:
        return instant.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("an instant outside the calendar") from error
