"""Reads of the daily counts."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from integrations.analytics.models import DailyCount
from shop.kernel.money import Money


@dataclass(frozen=True, slots=True)
class Day:
    """How often an action happened on a day, in one currency, and the money it was about; None for actions without."""

    day: date
    name: str
    count: int
    money: Money | None


def days(*, names: Iterable[str], since: date) -> list[Day]:
    """Return the counts of these actions from `since` on, oldest first, in one statement."""
    rows = DailyCount.objects.filter(name__in=list(names), day__gte=since).order_by("day", "name", "currency")
    return [
        Day(day, name, count, Money(amount, currency) if currency else None)
        for day, name, count, amount, currency in rows.values_list("day", "name", "count", "amount", "currency")
    ]
