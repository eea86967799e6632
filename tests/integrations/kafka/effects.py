"""A consumer for tests: its effect is a row without any constraint, so that a second effect would be seen."""

from uuid import UUID

from django.db import connection

from shop.kernel.events import UserAction
from shop.kernel.tracing import current_trace
from shop.kernel.transactions import current_unit_of_work

TABLE = (
    "CREATE TABLE IF NOT EXISTS test_effect"
    " (event_id uuid, key uuid, n int, correlation text, causation text, place bigserial)"
)
# Keys whose events cannot be handled for now; those of the second kind only fail when their unit of work ends.
poisoned: set[UUID] = set()
poisoned_at_the_end: set[UUID] = set()


def note(*, event: UserAction, event_id: UUID) -> None:
    """Leave one row for the event, or fail when its key is poisoned."""
    trace = current_trace()
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO test_effect VALUES (%s, %s, %s, %s, %s)",
            [event_id, event.user_id, event.properties.get("n", 0), trace.correlation_id, trace.causation_id],
        )
    if event.user_id in poisoned:
        raise ValueError("This key is poisoned.")
    if event.user_id in poisoned_at_the_end:
        current_unit_of_work().gather(_fail, event.user_id)


def _fail(keys: list[UUID]) -> None:
    raise ValueError(f"{len(keys)} poisoned.")


def effects(*keys: UUID) -> list[tuple[UUID, int]]:
    """Return (key, n) of the effects on these keys, in the order in which they happened."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT key, n FROM test_effect WHERE key = ANY(%s::uuid[]) ORDER BY place", [list(keys)])
        return list(cursor.fetchall())
