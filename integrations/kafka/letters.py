"""Dead letters: finding them and giving them new attempts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import QuerySet

from integrations.kafka.errors import NobodysLetters
from integrations.kafka.groups import group_names
from integrations.kafka.models import Parked
from shop.kernel.events import event_classes


@dataclass(frozen=True, kw_only=True)
class Letters:
    """Which dead letters: those that fit everything that is given."""

    ids: Sequence[int] = ()
    event_ids: Sequence[UUID] = ()
    consumers: Sequence[str] = ()
    types: Sequence[str] = ()
    keys: Sequence[str] = ()
    since: datetime | None = None
    until: datetime | None = None


def require_known(wanted: Letters) -> None:
    """NobodysLetters for a consumer or a type there is not: "0 dead letters" of a misspelt one would be taken for news.

    Letters may be left of one that is gone.
    """
    for what, names, there in (
        ("consumer", wanted.consumers, group_names()),
        ("type", wanted.types, sorted(event_classes())),
    ):
        left = Parked.objects.filter(**{f"{what}__in": list(names)}).values_list(what, flat=True) if names else ()
        if unknown := sorted({*names} - {*there} - {*left}):
            raise NobodysLetters(f"There is no {what} called {unknown[0]}; there are {', '.join(there)}.")


def dead_letters(wanted: Letters) -> QuerySet[Parked]:
    """Return the dead letters that fit, oldest first."""
    found = Parked.objects.filter(state=Parked.State.DEAD).order_by("id")
    lists = {
        "id__in": wanted.ids,
        "event_id__in": wanted.event_ids,
        "consumer__in": wanted.consumers,
        "type__in": wanted.types,
        "key__in": wanted.keys,
    }
    found = found.filter(**{name: list(values) for name, values in lists.items() if values})
    if wanted.since:
        found = found.filter(parked_at__gte=wanted.since)
    if wanted.until:
        found = found.filter(parked_at__lt=wanted.until)
    return found
