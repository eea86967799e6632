"""What every long-running command of this package does at its start and at its end."""

import signal
from collections.abc import Callable
from pathlib import Path

from django.conf import settings


def on_stop(stop: Callable[[], None]) -> None:
    """Call `stop` on SIGTERM and on Ctrl-C."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop())


def announce_ready() -> None:
    """Touch SHOP_READY_FILE: the supervisor waits for it."""
    if settings.READY_FILE:
        Path(settings.READY_FILE).touch()
