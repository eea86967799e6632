"""Counting user actions: a Prometheus counter for the moment, a row a day for the admin's charts."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date
from functools import partial
from typing import Any

from django.db import connection, transaction

from integrations.analytics import metrics
from shop.kernel.events import UserAction
from shop.kernel.transactions import current_unit_of_work, joins_unit_of_work

# Rows are locked in the order of their keys, so that two consumers with many actions each cannot block one another.
_COUNT = """
INSERT INTO analytics_dailycount AS so_far (day, name, currency, count, amount)
SELECT day, name, currency, count, amount
FROM unnest(%s::date[], %s::text[], %s::text[], %s::bigint[], %s::bigint[])
    AS more (day, name, currency, count, amount)
ORDER BY day, name, currency
ON CONFLICT (day, name, currency)
DO UPDATE SET count = so_far.count + EXCLUDED.count, amount = so_far.amount + EXCLUDED.amount
"""

Row = tuple[date, str, str]


@joins_unit_of_work
def count(*, action: UserAction) -> None:
    """Add one action, and the money it was about, to its day: one statement for all actions of the unit of work."""
    current_unit_of_work().gather(_write, action)


def amount_of(properties: Mapping[str, str | int | bool | None]) -> int:
    """Return the money an action is about, in minor units; 0 for those that are about none."""
    match properties:
        case {"amount": int(amount)} | {"value": int(amount)}:
            return amount
        case {"price": int(price), "quantity": int(quantity)}:
            return price * quantity
        case _:
            return 0


def totals(actions: Iterable[UserAction]) -> tuple[Counter[Row], Counter[Row]]:
    """Return how often each action happened on each day, and the money it was about."""
    counts: Counter[Row] = Counter()
    amounts: Counter[Row] = Counter()
    for action in actions:
        row = (action.occurred_at.date(), action.name, str(action.properties.get("currency") or ""))
        counts[row] += 1
        amounts[row] += amount_of(action.properties)
    return counts, amounts


def add(*, counts: Mapping[Row, int], amounts: Mapping[Row, int]) -> None:
    """Add to the days; what is added may be less than nothing."""
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, columns(counts, amounts))


def columns(counts: Mapping[Row, int], amounts: Mapping[Row, int]) -> list[list[Any]]:
    """Return days, names, currencies, counts and amounts, each a column for a statement."""
    days, names, currencies = zip(*counts, strict=True)
    return [list(days), list(names), list(currencies), list(counts.values()), [amounts[row] for row in counts]]


def _write(actions: list[UserAction]) -> None:
    counts, amounts = totals(actions)
    add(counts=counts, amounts=amounts)
    transaction.on_commit(partial(_tell_prometheus, counts, amounts))


def _tell_prometheus(counts: Counter[Row], amounts: Counter[Row]) -> None:
    for (_, name, _), count_of in counts.items():
        metrics.user_actions.labels(name).inc(count_of)
    for (_, name, currency), amount in amounts.items():
        if amount > 0:
            metrics.amounts.labels(name, currency).inc(amount)
