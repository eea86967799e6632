"""How a long-running command of this package ends."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event as Signal

_NUMBERS = (signal.SIGTERM, signal.SIGINT)


def on_stop(stop: Callable[[], None]) -> None:
    """Call `stop` on SIGTERM and on Ctrl-C."""
    for number in _NUMBERS:
        signal.signal(number, lambda *_: stop())


@contextmanager
def stopping() -> Iterator[Signal]:
    """Set the signal on SIGTERM and on Ctrl-C while the enclosed work lasts, instead of ending it in the middle."""
    stop, before = Signal(), {number: signal.getsignal(number) for number in _NUMBERS}
    on_stop(stop.set)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
