"""How a person or the system asks the stack to stop."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopSignals:
    """Hears Ctrl-C, SIGTERM and SIGHUP: the first ends the next `rest` with KeyboardInterrupt, the second is haste.

    Raised wherever the signal comes, it would come between a lock that was taken and the block that gives it back, in
    `subprocess` or `concurrent.futures`: the stop would then wait for that lock for ever.
    """

    def __init__(self) -> None:
        """Nothing has been asked for yet."""
        self.is_stopping = False
        self.is_hurried = False

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Listen to the signals while the block runs."""
        before = {number: signal.signal(number, self._heard) for number in STOPPING}
        _listening.append(self)
        try:
            yield
        finally:
            _listening.remove(self)
            for number, handler in before.items():
                signal.signal(number, handler)

    def _heard(self, _number: int, _frame: FrameType | None) -> None:
        self.is_hurried = self.is_stopping
        self.is_stopping = True


# Whoever listens in this process: one at most.
_listening: list[StopSignals] = []


def rest(seconds: float) -> None:
    """Do nothing for a moment; raise KeyboardInterrupt if somebody has asked to stop."""
    _heed()
    time.sleep(seconds)
    _heed()


def _heed() -> None:
    if any(signals.is_stopping for signals in _listening):
        raise KeyboardInterrupt
