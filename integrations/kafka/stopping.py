"""How a long-running command of this package ends."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event as Signal
from threading import Thread

_NUMBERS = (signal.SIGTERM, signal.SIGINT)


def on_stop(stop: Callable[[], None]) -> None:
    """Call `stop` on SIGTERM and on Ctrl-C.

    From a thread of its own: the signal may meet the main thread inside the very lock that `stop` takes, as that of an
    event it waits for.
    """
    for number in _NUMBERS:
        signal.signal(number, lambda *_: Thread(target=stop).start())


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
