"""How fast a replay goes: at its rate, and not at all while live events have to wait longer and longer."""

import time
from collections.abc import Callable
from threading import Event as Signal

from integrations.kafka import inbox
from integrations.kafka.groups import listeners
from shop.kernel.clock import utc_now

LOOK_SECONDS = 2.0
LOOK_AGAIN_SECONDS = 1.0
# So many live deliveries may always be under way.
USUAL_BACKLOG = 100
LARGEST_BATCH = 100
BATCHES_A_SECOND = 10


class Stopped(Exception):
    """Somebody asked the replay to stop. What it has done stays done."""


def live_backlog() -> int:
    """Count the deliveries of the last seconds' events that no consumer has made yet: handled, parked or dead."""
    return inbox.undelivered(listeners=listeners(), now=utc_now())


class Pace:
    """Lets a replay go on when it may."""

    def __init__(
        self,
        *,
        per_second: int,
        stop: Signal,
        say: Callable[[str], object],
        backlog: Callable[[], int] = live_backlog,
    ) -> None:
        self._per_second, self._stop, self._say, self._backlog = per_second, stop, say, backlog
        self._free_at = self._look_at = self._began = time.monotonic()
        self._last_backlog = 0

    @property
    def batch(self) -> int:
        """How many events to handle at once: small batches leave gaps for live ones."""
        return max(1, min(self._per_second // BATCHES_A_SECOND, LARGEST_BATCH))

    def keep(self, *, done: int) -> None:
        """Return when more may follow the `done` events just handled; Stopped when somebody asked for it."""
        self._free_at = max(self._free_at + done / self._per_second, time.monotonic())
        self._wait(self._free_at - time.monotonic())
        if time.monotonic() >= self._look_at:
            self._let_live_events_pass()
        self._began = time.monotonic()

    def rest(self) -> None:
        """Wait as long as the work since the last wait took: looking for holes must not take a whole core either."""
        self._wait(time.monotonic() - self._began)
        self.keep(done=0)

    def _let_live_events_pass(self) -> None:
        paused = False
        while self._grows():
            if not paused:
                self._say(f"Paused: {self._last_backlog} live deliveries wait, and there are more and more.")
            paused = True
            self._wait(LOOK_AGAIN_SECONDS)
        if paused:
            self._say(f"Going on: {self._last_backlog} live deliveries wait.")
        self._look_at = time.monotonic() + LOOK_SECONDS

    def _grows(self) -> bool:
        before, self._last_backlog = self._last_backlog, self._backlog()
        return self._last_backlog > max(before, USUAL_BACKLOG)

    def _wait(self, seconds: float) -> None:
        if self._stop.wait(max(0.0, seconds)):
            raise Stopped
