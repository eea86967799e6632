"""Counting user actions: a Prometheus counter for the moment, a row a day for the admin's charts."""

from django.db import connection, transaction

from integrations.analytics.metrics import user_actions
from shop.kernel.events import UserAction
from shop.kernel.transactions import joins_unit_of_work

_COUNT = """
INSERT INTO analytics_dailycount AS so_far (day, name, currency, count, amount)
VALUES (%s::date, %s, %s, 1, %s)
ON CONFLICT (day, name, currency) DO UPDATE SET count = so_far.count + 1, amount = so_far.amount + EXCLUDED.amount
"""


@joins_unit_of_work
def count(*, action: UserAction) -> None:
    """Add one action, and the money it was about, to its day."""
    amount = action.properties.get("amount", 0)
    with connection.cursor() as cursor:
        cursor.execute(
            _COUNT,
            [
                action.occurred_at.date(),
                action.name,
                str(action.properties.get("currency", "")),
                amount if isinstance(amount, int) else 0,
            ],
        )
    transaction.on_commit(user_actions.labels(action.name).inc)
