"""How a person or the system asks the stack to stop."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopSignals:
    """Turns the first Ctrl-C, SIGTERM or SIGHUP into KeyboardInterrupt, and the second one into haste."""

    def __init__(self) -> None:
        """Nothing has been asked for yet."""
        self.is_stopping = False
        self.is_hurried = False

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Listen to the signals while the block runs."""
        before = {number: signal.signal(number, self._heard) for number in STOPPING}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _heard(self, _number: int, _frame: FrameType | None) -> None:
        if self.is_stopping:
            self.is_hurried = True
            return
        self.is_stopping = True
        raise KeyboardInterrupt
