"""Parked events are tried again in the order of their key, and become dead letters after eight attempts."""

import random
from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from integrations.kafka import inbox, metrics
from integrations.kafka.delivery import explained, handle, raise_if_database_is_away
from integrations.kafka.envelope import Arrived, of_headers
from integrations.kafka.errors import Unreadable
from integrations.kafka.groups import group
from integrations.kafka.models import Parked
from shop.kernel.transactions import open_unit_of_work

log = structlog.get_logger(__name__)

ATTEMPTS = 8
# Seconds after the first, second... attempt. Somebody mends a deployment within the hours this adds up to.
DELAYS_SECONDS = (1, 5, 30, 120, 600, 1_800, 3_600)
KEYS_AT_ONCE = 200


def redrive_due(*, now: datetime) -> int:
    """Try every key whose first parked event is due; return how many events were handled."""
    return sum(drain(consumer=consumer, key=key, now=now) for consumer, key in _due_keys(now=now))


def drain(*, consumer: str, key: str, now: datetime) -> int:
    """Handle the parked events of one key, oldest first, until none is left or one fails; return how many."""
    handled = 0
    while (tried := _try_first(consumer=consumer, key=key, now=now)) is not None:
        handled += tried
    return handled


def revive(*, parked_ids: Sequence[int], now: datetime) -> int:
    """Give dead letters eight new attempts, dismissed ones too, the first of them now; return how many there were.

    What nobody can read stays dead: it would hold its key back for hours, and no attempt could help it.
    """
    with open_unit_of_work():
        ended = Parked.objects.filter(id__in=parked_ids).exclude(state=Parked.State.WAITING)
        return ended.filter(id__in=[row.id for row in ended if is_readable(row)]).update(
            state=Parked.State.WAITING, attempts=0, next_attempt_at=now
        )


def dismiss(*, parked_ids: Sequence[int]) -> list[int]:
    """Count dead letters no more, because a person says that nobody needs them; return which of these were dead."""
    with open_unit_of_work():
        dead = Parked.objects.select_for_update().filter(id__in=parked_ids, state=Parked.State.DEAD).order_by("id")
        dismissed = list(dead.values_list("id", flat=True))
        Parked.objects.filter(id__in=dismissed).update(state=Parked.State.DISMISSED)
    log.info("consumer.dead_letters_dismissed", parked_ids=dismissed)
    return dismissed


def is_readable(row: Parked) -> bool:
    """Tell whether a parked record makes an event; what was parked raw may, once the code has learned to read it."""
    try:
        _event(row)
    except Unreadable:
        return False
    return True


def _due_keys(*, now: datetime) -> list[tuple[str, str]]:
    earlier = Parked.objects.filter(
        consumer=OuterRef("consumer"), key=OuterRef("key"), state=Parked.State.WAITING, id__lt=OuterRef("id")
    )
    first = Parked.objects.filter(~Exists(earlier), state=Parked.State.WAITING, next_attempt_at__lte=now)
    return list(first.order_by("next_attempt_at").values_list("consumer", "key")[:KEYS_AT_ONCE])


def _try_first(*, consumer: str, key: str, now: datetime) -> int | None:
    """Try the oldest: 1 when it is handled, 0 when it has become a dead letter, None when the key must wait."""
    row: Parked | None = None
    try:
        with open_unit_of_work():
            row = _lock_first(_waiting(consumer=consumer, key=key), now=now)
            if row is None:
                return None
            event = _event(row)
            if inbox.enter_again(consumer=consumer, event_id=event.id, now=now):
                handle(group=group(consumer), event=event)
            # Not `row.delete()`, which takes the row's id away: the end of the unit may still fail.
            Parked.objects.filter(id=row.id).delete()
    except Exception as error:
        raise_if_database_is_away(error)
        if row is None:
            raise
        return 0 if _failed(row, error, now=now) == Parked.State.DEAD else None
    metrics.consumed.labels(consumer, row.type, "handled").inc()
    log.info("consumer.event_redriven", consumer=consumer, event_id=str(event.id), attempts=row.attempts + 1)
    return 1


def _waiting(*, consumer: str, key: str) -> QuerySet[Parked]:
    return Parked.objects.filter(consumer=consumer, key=key, state=Parked.State.WAITING)


def _lock_first(waiting: QuerySet[Parked], *, now: datetime) -> Parked | None:
    """Lock the key's first event; None when it is not due, or another worker is at it.

    The first is found before it is locked: skipping a locked one would hand out its successor.
    """
    first = waiting.order_by("id").first()
    if first is None or first.next_attempt_at > now:
        return None
    return waiting.filter(id=first.id).select_for_update(skip_locked=True).first()


def _event(row: Parked) -> Arrived:
    return of_headers(row.headers, key=row.key, data=bytes(row.value), topic=row.topic)


def _failed(row: Parked, error: Exception, *, now: datetime) -> Parked.State:
    """Count the attempt and say when the next one is, or give up."""
    attempts = row.attempts + 1
    state = Parked.State.DEAD if attempts >= ATTEMPTS else Parked.State.WAITING
    delay = DELAYS_SECONDS[min(attempts, len(DELAYS_SECONDS)) - 1] * random.uniform(0.9, 1.1)  # noqa: S311  jitter
    with transaction.atomic():
        Parked.objects.filter(id=row.id, attempts=row.attempts).update(
            attempts=attempts,
            state=state,
            next_attempt_at=now + timedelta(seconds=delay),
            last_error=explained(error),
        )
    metrics.consumed.labels(row.consumer, row.type, "dead" if state == Parked.State.DEAD else "failed_again").inc()
    log.error(
        "consumer.dead_letter" if state == Parked.State.DEAD else "consumer.event_failed_again",
        consumer=row.consumer, event_id=str(row.event_id), attempts=attempts, error=str(error)[:300],
    )  # fmt: skip
    return state
