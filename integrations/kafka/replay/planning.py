"""What a replay would do: counted from log and inbox, changing nothing."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from integrations.kafka import inbox
from integrations.kafka.effects import effects_of, may_handle
from integrations.kafka.groups import Group
from shop.kernel.outbox import log as event_log
from shop.kernel.outbox.dto import Told
from shop.kernel.outbox.log import Selection

CHUNK = 500

# Deliveries by consumer and type.
Deliveries = Counter[tuple[str, str]]


@dataclass
class Plan:
    """`holes` are deliveries that never happened; `held_back` are those of them whose effects nobody has allowed."""

    selected: Counter[str] = field(default_factory=Counter)
    holes: Deliveries = field(default_factory=Counter)
    held_back: Deliveries = field(default_factory=Counter)
    settled: int = 0
    first_at: datetime | None = None
    last_at: datetime | None = None

    @property
    def deliveries(self) -> int:
        """How many events would be delivered, counted once for each consumer."""
        return self.holes.total()

    def add(self, chunk: Sequence[Told]) -> None:
        """Count what is selected."""
        self.selected.update(told.type for told in chunk)
        self.first_at = self.first_at or chunk[0].occurred_at
        self.last_at = chunk[-1].occurred_at


def plan(*, selection: Selection, groups: Sequence[Group] = (), effects: Collection[str] = ()) -> Plan:
    """Look, and change nothing. Without groups only the selection is counted."""
    found = Plan()
    for chunk in event_log.chunks(selection, size=CHUNK):
        found.add(chunk)
        for group in groups:
            heard = [told for told in chunk if told.type in group.handlers]
            missing = holes(group=group, heard=heard)
            found.settled += len(heard) - len(missing)
            for told in missing:
                allowed = may_handle(group=group, type_name=told.type, allowed=effects)
                (found.holes if allowed else found.held_back)[group.name, told.type] += 1
    return found


def holes(*, group: Group, heard: Sequence[Told]) -> list[Told]:
    """Return those of the events that the group has neither handled nor set aside."""
    settled = inbox.settled(consumer=group.name, event_ids=[told.id for told in heard]) if heard else frozenset()
    return [told for told in heard if told.id not in settled]


def effects_among(deliveries: Deliveries) -> Counter[str]:
    """Count the deliveries by what they do outside the shop."""
    counted: Counter[str] = Counter()
    for (consumer, type_name), count in deliveries.items():
        for effect in effects_of(consumer=consumer, type_name=type_name):
            counted[effect] += count
    return counted
