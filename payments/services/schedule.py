"""When the clock asks again. The delays are settings, in seconds; the last of a repeated list repeats."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.conf import settings

from payments.states import AttemptStatus, RefundStatus
from shop.kernel.waits import spread

# How long a claimed row is left to whoever claimed it: longer than the slowest gateway call with its retries.
LEASE_SECONDS = 60
# Of the payment window: settings that shorten the window shorten the quiet time with it.
_QUIET_SHARE = 6


def next_poll(*, status: AttemptStatus, polls: int, now: datetime) -> datetime | None:
    """Return when to ask about an attempt that was asked about `polls` times in this status; None for never."""
    match status:
        case AttemptStatus.SUCCEEDED:
            return None
        case AttemptStatus.UNKNOWN:
            return _delayed(settings.PAYMENT_UNKNOWN_DELAYS_SECONDS, polls, now)
        case AttemptStatus.FAILED | AttemptStatus.CANCELLED | AttemptStatus.EXPIRED:
            return _delayed(settings.PAYMENT_LATE_LOOK_DELAYS_SECONDS, polls, now)
        case _:
            delays = settings.PAYMENT_POLL_DELAYS_SECONDS
            return _delayed(delays, min(polls, len(delays) - 1), now)


def next_refund_try(*, status: RefundStatus, tries: int, now: datetime) -> datetime | None:
    """Return when to ask about a refund that was asked about `tries` times in this status; None for never."""
    match status:
        case RefundStatus.REQUESTED:
            # Whoever asked was killed or has failed without a word of the gateway's: nothing has grown older yet.
            return _delayed(settings.PAYMENT_REFUND_UNKNOWN_DELAYS_SECONDS, max(0, tries - 1), now)
        case RefundStatus.UNKNOWN:
            return _delayed(settings.PAYMENT_REFUND_UNKNOWN_DELAYS_SECONDS, tries, now)
        case RefundStatus.SUBMITTED | RefundStatus.REJECTED:
            # Of one that was refused the rest may still be due; nobody is made to hurry by either.
            delays = settings.PAYMENT_REFUND_POLL_DELAYS_SECONDS
            return _delayed(delays, min(tries, len(delays) - 1), now)
        case RefundStatus.SUCCEEDED:
            return _delayed(settings.PAYMENT_REFUND_LATE_LOOK_DELAYS_SECONDS, tries, now)
        case _:
            return None


def next_try(*, tries: int, now: datetime) -> datetime | None:
    """Return when to process a callback again that failed `tries` times; None when it is dead."""
    at = _delayed(settings.CALLBACK_RETRY_DELAYS_SECONDS, tries - 1, now)
    return None if at is None else now + spread(at - now)


def next_expiry(*, now: datetime) -> datetime:
    """Return when to look again at an order that could not be expired."""
    return now + timedelta(seconds=settings.PAYMENT_POLL_DELAYS_SECONDS[0])


def quiet_since(*, now: datetime) -> datetime:
    """Return the instant after which an attempt that moved is left alone by expiry: somebody is at work on it."""
    seconds = min(settings.PAYMENT_POLL_QUIET_SECONDS, settings.PAYMENT_WINDOW_SECONDS / _QUIET_SHARE)
    return now - timedelta(seconds=seconds)


def _delayed(delays: Sequence[int], place: int, now: datetime) -> datetime | None:
    return now + timedelta(seconds=delays[place]) if place < len(delays) else None
