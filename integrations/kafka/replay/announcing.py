"""What a replay is about to do, in lines for a terminal: what a person reads before saying --execute."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time
from typing import Any

from integrations.kafka.effects import effects_of
from integrations.kafka.errors import NotReplaySafe
from integrations.kafka.groups import Group
from integrations.kafka.models import Replay
from integrations.kafka.replay import healing, rebuilding
from integrations.kafka.replay.audit import Mode
from integrations.kafka.replay.planning import Deliveries, Plan, effects_among, plan
from shop.kernel.clock import utc_now
from shop.kernel.outbox.log import Selection
from shop.kernel.outbox.partitions import kept_since

_NONE_REPEATED = "To be repeated: 0"


@dataclass(frozen=True, kw_only=True)
class Announced:
    """The lines, how many deliveries they announce, and the selection with its ends filled in."""

    lines: Sequence[str]
    count: int
    selection: Selection


def heal(*, selection: Selection, groups: Sequence[Group], effects: Sequence[str]) -> Announced:
    """Announce what would be delivered, what is held back, and what reaches outside the shop."""
    selection = _ended(selection)
    found = plan(selection=selection, groups=groups, effects=effects)
    names = ", ".join(group.name for group in groups)
    lines = [
        *_selected(found),
        f"To deliver to {names}: {found.deliveries}",
        *_table(found.holes),
        *_outside(found.holes),
        *_held_back(found.held_back),
        f"Already handled or parked there, left alone: {found.settled}",
        _NONE_REPEATED,
    ]
    return Announced(lines=lines, count=found.deliveries, selection=selection)


def dead(*, selection: Selection, groups: Sequence[Group], effects: Sequence[str]) -> Announced:
    """Announce which dead letters would be tried again."""
    tried, held_back = healing.plan_dead(selection=selection, groups=groups, effects=effects)
    lines = [
        f"Dead letters to try again: {tried.total()}",
        *_table(tried),
        *_outside(tried),
        *_held_back(held_back),
        _NONE_REPEATED,
    ]
    return Announced(lines=lines, count=tried.total(), selection=selection)


def rebuild(*, selection: Selection, groups: Sequence[Group]) -> Announced:
    """Announce which days would be made anew; NotReplaySafe names what cannot be."""
    (of,) = groups
    made = rebuilding.made_anew(of=of, types=selection.types)
    days = _whole_days(selection)
    count = rebuilding.to_draft(of=of, made=made, selection=days)
    lines = [
        f"To make anew for {of.name}, from {', '.join(made.types)}: {count} events",
        f"  of the days from {days.since:%Y-%m-%d} to before {days.until:%Y-%m-%d} (UTC)",
        "Figures that are right stay as they are; nothing reaches outside the shop.",
    ]
    return Announced(lines=lines, count=count, selection=replace(days, types=tuple(made.types)))


def retell(*, selection: Selection, target: str) -> Announced:
    """Announce what would go onto its topics again."""
    selection = _ended(selection)
    found = plan(selection=selection)
    count = found.selected.total()
    lines = [
        *_selected(found),
        f"To send onto their topics again, marked for {target}: {count}",
        f"The shop's own consumers pass them by. What {target} does with an event it has had is for it to know.",
    ]
    return Announced(lines=lines, count=count, selection=selection)


def ended(audit: Replay) -> str:
    """Say what came of a replay."""
    match audit.mode:
        case Mode.REBUILD:
            what = f"Counted {audit.delivered} events anew; {audit.mended} figures were wrong and are right now."
        case Mode.RETELL:
            what = f"Queued {audit.delivered} for the relay."
        case _:
            what = f"Delivered {audit.delivered}, parked {audit.parked}, already there {audit.repeated}."
    return f"{what} Audit row {audit.id}."


def _selected(found: Plan) -> Iterator[str]:
    yield f"Selected from the log: {found.selected.total()} events"
    for type_name, count in sorted(found.selected.items()):
        yield f"  {type_name:<28} {count:>8}"
    if found.first_at and found.last_at:
        yield f"  first {found.first_at.isoformat()}, last {found.last_at.isoformat()}"


def _table(deliveries: Deliveries) -> Iterator[str]:
    for (consumer, type_name), count in sorted(deliveries.items()):
        yield f"  {consumer:<16} {type_name:<28} {count:>8}"


def _outside(deliveries: Deliveries) -> Iterator[str]:
    for effect, count in sorted(effects_among(deliveries).items()):
        yield f"Outside the shop they cause, for the first time: {effect} by {count} events"


def _held_back(deliveries: Deliveries) -> Iterator[str]:
    if not deliveries:
        return
    yield f"Held back, since handling them reaches outside the shop: {deliveries.total()}"
    for (consumer, type_name), count in sorted(deliveries.items()):
        effects = sorted(effects_of(consumer=consumer, type_name=type_name))
        flags = " ".join(f"--allow-effect {effect}" for effect in effects)
        yield f"  {consumer:<16} {type_name:<28} {count:>8}  would cause: {', '.join(effects)} ({flags})"


def _ended(selection: Selection) -> Selection:
    """Return the selection with an end: nobody has counted what is told from now on, and it comes by itself."""
    now = utc_now()
    return replace(selection, until=min(selection.until or now, now))


def _whole_days(selection: Selection) -> Selection:
    """Return the selection with both ends; NotReplaySafe when it is not of whole days that the log holds."""
    chosen: dict[str, Any] = {"event-id": selection.event_ids, "aggregate": selection.aggregate, "key": selection.key}
    chosen["correlation-id"] = selection.correlation_id
    if narrow := [name for name, value in chosen.items() if value]:
        raise NotReplaySafe(f"A rebuild is of whole days: choose with --since, --until and --type, not --{narrow[0]}.")
    begins = kept_since()
    since = selection.since or begins
    until = selection.until or datetime.combine(utc_now().date(), time(), UTC)
    if any(end.astimezone(UTC).time() != time() for end in (since, until)):
        raise NotReplaySafe("A rebuild is of whole days: --since and --until are midnights in UTC.")
    if since < begins:
        raise NotReplaySafe(f"The log begins on {begins:%Y-%m-%d}: days before cannot be made anew.")
    if since >= until:
        raise NotReplaySafe("There is no whole day between --since and --until.")
    return replace(selection, since=since.astimezone(UTC), until=until.astimezone(UTC))
