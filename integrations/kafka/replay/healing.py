"""Heal: deliver past events to a consumer that never handled them. What it has handled is never repeated.

They take the same way as live ones: inbox row and effect together. What would reach outside the shop (a mail about an
order of three weeks ago) is held back unless somebody allows it by name.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from django.db.models import QuerySet

from integrations.kafka import parking
from integrations.kafka.delivery import deliver
from integrations.kafka.effects import may_handle
from integrations.kafka.envelope import of_log
from integrations.kafka.groups import Group, group
from integrations.kafka.letters import Letters, dead_letters
from integrations.kafka.models import Parked, Replay
from integrations.kafka.replay.audit import audited, keep, selection_of
from integrations.kafka.replay.pace import Pace
from integrations.kafka.replay.planning import CHUNK, Deliveries, holes
from shop.kernel.clock import utc_now
from shop.kernel.events import event_classes
from shop.kernel.outbox import log as event_log
from shop.kernel.outbox.dto import Told
from shop.kernel.outbox.instants import first_id_at
from shop.kernel.outbox.log import Selection


def heal(*, audit: Replay, pace: Pace, progress: Callable[[int], object]) -> None:
    """Deliver the holes, oldest first. Stopped or killed, it goes on where it was: what was delivered is no hole."""
    groups = [group(name) for name in audit.consumers]
    with audited(audit):
        for chunk in event_log.chunks(replace(selection_of(audit), after=audit.after), size=CHUNK):
            for to, batch in _batches(chunk, groups, audit, size=pace.batch):
                _deliver(audit, to, batch)
                keep(audit)
                progress(len(batch))
                pace.keep(done=len(batch))
            audit.after = chunk[-1].id
            keep(audit)
            pace.rest()


def dead_among(*, selection: Selection, groups: Sequence[Group]) -> QuerySet[Parked]:
    """Return the dead letters of these consumers that the selection chooses; times are those of the telling.

    What nobody can read is no event, and chosen by nothing.
    """
    found = dead_letters(
        Letters(
            consumers=[group.name for group in groups],
            event_ids=selection.event_ids,
            types=selection.types,
            keys=[str(selection.key)] if selection.key else (),
        )
    ).exclude(type="")
    if selection.aggregate:
        found = found.filter(
            type__in=[n for n, told in event_classes().items() if told.aggregate == selection.aggregate]
        )
    if selection.correlation_id:
        found = found.filter(headers__ce_correlationid=selection.correlation_id)
    if selection.since:
        found = found.filter(event_id__gte=first_id_at(selection.since))
    if selection.until:
        found = found.filter(event_id__lt=first_id_at(selection.until))
    return found


def plan_dead(
    *, selection: Selection, groups: Sequence[Group], effects: Sequence[str]
) -> tuple[Deliveries, Deliveries]:
    """Count the dead letters that would be tried again, and those that are held back, by consumer and type."""
    tried: Deliveries = Counter()
    held_back: Deliveries = Counter()
    for letter in dead_among(selection=selection, groups=groups).defer("value", "headers"):
        allowed = may_handle(group=group(letter.consumer), type_name=letter.type, allowed=effects)
        (tried if allowed else held_back)[letter.consumer, letter.type] += 1
    return tried, held_back


def heal_dead(*, audit: Replay, pace: Pace, progress: Callable[[int], object]) -> None:
    """Give the chosen dead letters new attempts, key by key, each key in its order."""
    groups = [group(name) for name in audit.consumers]
    with audited(audit):
        letters = [
            letter
            for letter in dead_among(selection=selection_of(audit), groups=groups).defer("value", "headers")
            if may_handle(group=group(letter.consumer), type_name=letter.type, allowed=audit.effects)
        ]
        for consumer, key in dict.fromkeys((letter.consumer, letter.key) for letter in letters):
            chosen = [letter.id for letter in letters if (letter.consumer, letter.key) == (consumer, key)]
            parking.revive(parked_ids=chosen, now=utc_now())
            audit.delivered += parking.drain(consumer=consumer, key=key, now=utc_now())
            audit.parked += Parked.objects.filter(id__in=chosen).count()
            keep(audit)
            progress(len(chosen))
            pace.keep(done=len(chosen))


def _batches(
    chunk: Sequence[Told], groups: Sequence[Group], audit: Replay, *, size: int
) -> Iterator[tuple[Group, list[Told]]]:
    for to in groups:
        heard = [
            told
            for told in chunk
            if told.type in to.handlers and may_handle(group=to, type_name=told.type, allowed=audit.effects)
        ]
        missing = holes(group=to, heard=heard)
        for start in range(0, len(missing), size):
            yield to, missing[start : start + size]


def _deliver(audit: Replay, to: Group, batch: Sequence[Told]) -> None:
    became: Counter[str] = Counter()
    for (_type, what), count in deliver(group=to, events=[of_log(told) for told in batch], now=utc_now()).items():
        became[what] += count
    audit.delivered += became["handled"]
    audit.repeated += became["duplicate"]
    audit.parked += became["parked"] + became["dead"]
