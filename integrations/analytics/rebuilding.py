"""The daily counts made anew from the log. Views stay as they are: they are no facts, and stand in no log."""

from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

from django.db import connection

from integrations.analytics import services
from integrations.analytics.models import DailyCount, DraftCount
from integrations.analytics.vocabulary import VIEWS
from shop.kernel.events import Event, UserAction

_DRAFT = """
INSERT INTO analytics_draftcount AS so_far (draft_id, day, name, currency, count, amount)
SELECT %s, day, name, currency, count, amount
FROM unnest(%s::date[], %s::text[], %s::text[], %s::bigint[], %s::bigint[])
    AS more (day, name, currency, count, amount)
ON CONFLICT (draft_id, day, name, currency)
DO UPDATE SET count = so_far.count + EXCLUDED.count, amount = so_far.amount + EXCLUDED.amount
"""
_DIFFERENCE = """
WITH draft AS (
    SELECT day, name, currency, count, amount FROM analytics_draftcount WHERE draft_id = %s
), counted AS (
    SELECT day, name, currency, count, amount FROM analytics_dailycount
    WHERE day >= %s AND day < %s AND name <> ALL(%s::text[])
)
SELECT day, name, currency, coalesce(draft.count, 0) - coalesce(counted.count, 0),
       coalesce(draft.amount, 0) - coalesce(counted.amount, 0)
FROM draft FULL JOIN counted USING (day, name, currency)
WHERE (draft.count, draft.amount) IS DISTINCT FROM (counted.count, counted.amount)
"""

# Day, name, currency, and what to add to count and amount.
Difference = list[tuple[date, str, str, int, int]]


class DailyCounts:
    """Makes the daily counts anew."""

    def add(self, *, draft_id: UUID, events: Sequence[Event]) -> None:
        """Count the actions into the draft."""
        actions = [event for event in events if isinstance(event, UserAction) and event.name not in VIEWS]
        if actions:
            with connection.cursor() as cursor:
                cursor.execute(_DRAFT, [draft_id, *services.columns(*services.totals(actions))])

    def difference(self, *, draft_id: UUID, since: datetime, until: datetime) -> Difference:
        """Return by how much each figure of these days is short of the draft's."""
        with connection.cursor() as cursor:
            cursor.execute(_DIFFERENCE, [draft_id, since.date(), until.date(), list(VIEWS)])
            return list(cursor.fetchall())

    def apply(self, *, difference: Difference) -> int:
        """Add it to the figures; a row that says nothing any more goes. Return how many rows were wrong."""
        if difference:
            services.add(
                counts={(day, name, currency): count for day, name, currency, count, _ in difference},
                amounts={(day, name, currency): amount for day, name, currency, _, amount in difference},
            )
            days = {day for day, *_ in difference}
            DailyCount.objects.filter(day__in=days, count=0, amount=0).delete()
        return len(difference)

    def forget(self, *, draft_id: UUID) -> None:
        """Throw the draft away."""
        DraftCount.objects.filter(draft_id=draft_id).delete()
