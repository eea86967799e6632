"""Where events stand with the consumers that hear them."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from integrations.kafka.groups import group_names
from integrations.kafka.models import Inbox, Parked


@dataclass(frozen=True, slots=True)
class Standing:
    """An event at a consumer: handled then, or set aside then."""

    at: datetime
    parked: Parked | None = None

    @property
    def word(self) -> str:
        """The state in a word: `handled`, `waiting`, `dead` or `dismissed`."""
        return "handled" if self.parked is None else self.parked.state


def standings(*, event_ids: Collection[UUID]) -> dict[tuple[str, UUID], Standing]:
    """Return where these events stand, by consumer and event; what a consumer has not seen is missing."""
    # Naming the consumers lets the indexes be used: they begin with the consumer.
    here = {"consumer__in": group_names(), "event_id__in": list(event_ids)}
    found = {
        (consumer, event_id): Standing(at)
        for consumer, event_id, at in Inbox.objects.filter(**here).values_list("consumer", "event_id", "handled_at")
    }
    for row in Parked.objects.filter(**here).defer("value", "headers"):
        found[row.consumer, row.event_id] = Standing(row.parked_at, row)
    return found
