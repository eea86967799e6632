"""When to start again what has crashed: soon after the first crash, later after each further one."""

from dataclasses import dataclass

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
# What ran this long was healthy: its next crash counts as the first.
HEALTHY_SECONDS = 30.0


@dataclass
class Backoff:
    """The memory of one process's crashes; times are those of `time.monotonic`."""

    started_at: float = 0.0
    crash_count: int = 0
    restart_at: float | None = None

    def note_start(self, *, now: float) -> None:
        """Remember that it was started."""
        self.started_at = now
        self.restart_at = None

    def note_crash(self, *, now: float) -> float:
        """Remember that it crashed, set `restart_at`, and return the pause until then in seconds."""
        if now - self.started_at > HEALTHY_SECONDS:
            self.crash_count = 0
        self.crash_count += 1
        pause_seconds = min(FIRST_PAUSE_SECONDS * 2.0 ** (self.crash_count - 1), LONGEST_PAUSE_SECONDS)
        self.restart_at = now + pause_seconds
        return pause_seconds

    def is_due(self, *, now: float) -> bool:
        """Tell whether it crashed and the pause is over."""
        return self.restart_at is not None and now >= self.restart_at
