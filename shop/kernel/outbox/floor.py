"""Where reads of the queue begin: a position below which it is empty, and stays so."""

from django.db import connection

_LOOK = """
SELECT COALESCE((SELECT position - 1 FROM outbox_pending WHERE position > %s::bigint ORDER BY position LIMIT 1),
                %s::bigint),
       pg_snapshot_xmin(pg_current_snapshot())::text::bigint, pg_current_xact_id()::text::bigint
"""


class Floor:
    """Lets a relay begin to read where the queue begins, and not where it once began.

    A deleted row stays in the index for as long as any transaction is open that began before its deletion. Behind one
    backup of half an hour a million of them would be passed by in each read.

    A position is drawn before its transaction commits, so an empty stretch is not empty for good until all have ended
    that may have drawn from it. Whoever draws has its transaction's number already: so these are all those below a
    number that was itself drawn afterwards. (A snapshot's highest number will not do: it is that of the last
    transaction that has *ended*, and younger ones may be open.)
    """

    def __init__(self) -> None:
        self.position = 0
        self._drawn = 0
        self._ended_by = 0

    def lift(self) -> None:
        """Move the floor up to the first row of the queue, refused and foreign ones included, if that is safe."""
        with connection.cursor() as cursor:
            # Before the snapshot of the next statement.
            cursor.execute("SELECT COALESCE(pg_sequence_last_value('outbox_pending_position_seq'), 0)")
            (drawn,) = cursor.fetchone()
            cursor.execute(_LOOK, [self.position, drawn])
            below_first, oldest_open, next_to_begin = cursor.fetchone()
        if drawn < self.position:
            # Another database, or one restored from a backup.
            self.position = drawn = next_to_begin = 0
        elif oldest_open >= self._ended_by:
            self.position = max(self.position, min(self._drawn, below_first))
        else:
            return
        self._drawn, self._ended_by = drawn, next_to_begin
