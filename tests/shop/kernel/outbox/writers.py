"""Writers whose transactions a test opens and commits in the order it wants; each has a thread and a connection."""

from concurrent.futures import ThreadPoolExecutor

from django.db import connection, transaction

from shop.kernel.ids import new_id
from shop.kernel.outbox.services import write
from shop.kernel.tracing import Trace
from tests.shop.kernel.outbox.factories import action


class Writer:
    """Tells numbered events of one key, each in a transaction of its own."""

    def __init__(self) -> None:
        self.key = new_id()
        self.told = 0
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._open: transaction.Atomic | None = None

    @property
    def is_open(self) -> bool:
        """Whether a transaction is under way."""
        return self._open is not None

    def begin(self) -> None:
        """Open a transaction and draw its number, as one does that changes something else first."""
        self._thread.submit(self._begin).result()

    def tell(self) -> None:
        """Tell an event in the transaction under way, or in a new one; its id is drawn now."""
        if not self.is_open:
            self.begin()
        self._thread.submit(self._tell).result()

    def commit(self) -> None:
        """Let the world see what was told."""
        self._thread.submit(self._commit).result()

    def end(self) -> None:
        """Commit what is open, and hang up."""
        if self.is_open:
            self.commit()
        self._thread.submit(self._hang_up).result()
        self._thread.shutdown()

    def _begin(self) -> None:
        self._open = transaction.atomic()
        self._open.__enter__()
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_current_xact_id()")

    def _tell(self) -> None:
        self.told += 1
        write([(action(user_id=self.key, n=self.told), Trace(correlation_id="test"))])

    def _commit(self) -> None:
        assert self._open is not None
        self._open.__exit__(None, None, None)
        self._open = None

    def _hang_up(self) -> None:
        connection.close()
