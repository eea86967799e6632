"""Heal: deliver past events to a consumer that never handled them. What it has handled is never repeated.

Events come from the log, not from Kafka, and take the same way as live ones: inbox row and effect together.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

import structlog
from django.db.models import QuerySet

from integrations.kafka import inbox, parking
from integrations.kafka.delivery import deliver
from integrations.kafka.envelope import of_log
from integrations.kafka.groups import Group
from integrations.kafka.letters import Letters, dead_letters
from integrations.kafka.models import Parked, Replay
from shop.kernel.clock import utc_now
from shop.kernel.outbox import log as event_log
from shop.kernel.outbox.dto import Told
from shop.kernel.outbox.log import Selection

log = structlog.get_logger(__name__)

CHUNK = 500
BATCH = 100


@dataclass
class Plan:
    """What a replay would do: `holes` are deliveries that never happened, by consumer and type."""

    selected: Counter[str] = field(default_factory=Counter)
    holes: Counter[tuple[str, str]] = field(default_factory=Counter)
    settled: int = 0
    first_at: datetime | None = None
    last_at: datetime | None = None

    @property
    def deliveries(self) -> int:
        """How many events would be delivered, counted once for each consumer."""
        return self.holes.total()


def plan(*, selection: Selection, groups: Sequence[Group]) -> Plan:
    """Look, and change nothing."""
    found = Plan()
    for chunk in event_log.chunks(selection, size=CHUNK):
        found.selected.update(told.type for told in chunk)
        found.first_at = found.first_at or chunk[0].occurred_at
        found.last_at = chunk[-1].occurred_at
        for group in groups:
            heard = [told for told in chunk if told.type in group.handlers]
            holes = _holes(group, heard)
            found.holes.update((group.name, told.type) for told in holes)
            found.settled += len(heard) - len(holes)
    return found


@dataclass(frozen=True, kw_only=True)
class Order:
    """What somebody wants sent again, to whom, and why."""

    selection: Selection
    groups: Sequence[Group]
    who: str
    reason: str
    expected: int
    per_second: int = 200


def heal(*, order: Order, progress: Callable[[int], object]) -> Replay:
    """Deliver the holes, oldest first, at most `per_second`; return the audit row.

    Started again after an interruption it goes on where it stopped: what was delivered is no hole any more.
    """
    with _audited(order) as audit:
        for group, batch in _batches(order):
            began = time.monotonic()
            _deliver(audit, group, batch)
            progress(len(batch))
            time.sleep(max(0.0, len(batch) / order.per_second - (time.monotonic() - began)))
    return audit


def dead_among(*, selection: Selection, groups: Sequence[Group]) -> QuerySet[Parked]:
    """Return the dead letters of these consumers that the selection chooses."""
    return dead_letters(
        Letters(
            consumers=[group.name for group in groups],
            event_ids=selection.event_ids,
            types=selection.types,
            keys=[str(selection.key)] if selection.key else (),
            since=selection.since,
            until=selection.until,
        )
    )


def heal_dead(*, order: Order, progress: Callable[[int], object]) -> Replay:
    """Give the chosen dead letters new attempts, in the order of their keys; return the audit row."""
    with _audited(order) as audit:
        letters = list(dead_among(selection=order.selection, groups=order.groups))
        parking.revive(parked_ids=[letter.id for letter in letters], now=utc_now())
        for consumer, key in dict.fromkeys((letter.consumer, letter.key) for letter in letters):
            handled = parking.drain(consumer=consumer, key=key, now=utc_now())
            audit.delivered += handled
            progress(handled)
        audit.parked = Parked.objects.filter(id__in=[letter.id for letter in letters]).count()
    return audit


@contextmanager
def _audited(order: Order) -> Iterator[Replay]:
    """Keep the audit row, whatever becomes of the enclosed replay."""
    audit = Replay.objects.create(
        who=order.who,
        reason=order.reason,
        mode="heal",
        consumers=[group.name for group in order.groups],
        selection=_described(order.selection),
        expected=order.expected,
        started_at=utc_now(),
    )
    log.info("replay.started", replay_id=str(audit.id), who=order.who, expected=order.expected)
    try:
        yield audit
        audit.outcome = "done"
    except BaseException as error:
        audit.outcome = f"interrupted: {type(error).__name__}"
        raise
    finally:
        audit.finished_at = utc_now()
        audit.save(update_fields=["delivered", "repeated", "parked", "outcome", "finished_at"])
        log.info("replay.ended", replay_id=str(audit.id), outcome=audit.outcome, delivered=audit.delivered)


def _batches(order: Order) -> Iterator[tuple[Group, list[Told]]]:
    for chunk in event_log.chunks(order.selection, size=CHUNK):
        for group in order.groups:
            holes = _holes(group, [told for told in chunk if told.type in group.handlers])
            for start in range(0, len(holes), BATCH):
                yield group, holes[start : start + BATCH]


def _holes(group: Group, heard: Sequence[Told]) -> list[Told]:
    settled = inbox.settled(consumer=group.name, event_ids=[told.id for told in heard]) if heard else frozenset()
    return [told for told in heard if told.id not in settled]


def _deliver(audit: Replay, group: Group, batch: Sequence[Told]) -> None:
    outcome = deliver(group=group, events=[of_log(told) for told in batch], now=utc_now())
    became: Counter[str] = Counter()
    for (_type, what), count in outcome.items():
        became[what] += count
    audit.delivered += became["handled"]
    audit.repeated += became["duplicate"]
    audit.parked += became["parked"] + became["dead"]


def _described(selection: Selection) -> dict[str, Any]:
    return {name: _text(value) for name, value in asdict(selection).items() if value}


def _text(value: Any) -> Any:
    return [str(part) for part in value] if isinstance(value, tuple) else str(value)
