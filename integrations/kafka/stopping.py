"""How a long-running command of this package ends."""

import signal
from collections.abc import Callable


def on_stop(stop: Callable[[], None]) -> None:
    """Call `stop` on SIGTERM and on Ctrl-C."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop())
