"""The same instant for several deeds: real threads, each with a connection of its own."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier
from typing import TypeVar

from django.db import connection

R = TypeVar("R")


def be_patient() -> None:
    """Let this connection wait for locks: a queue of twenty on a busy machine, and no deadlock, outlasts settings."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('lock_timeout', '90s', false), set_config('statement_timeout', '180s', false)"
        )


def at_once(*deeds: Callable[[], R]) -> list[R]:
    """Do all deeds at the same instant and return what each returned; what one raises ends the test."""
    start = Barrier(len(deeds))

    def run(deed: Callable[[], R]) -> R:
        try:
            be_patient()
            start.wait(timeout=90)
            return deed()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(deeds)) as pool:
        return list(pool.map(run, deeds))


def tried_at_once(*deeds: Callable[[], R]) -> list[R | Exception]:
    """Do all deeds at the same instant and return what each returned or raised."""
    return at_once(*[partial(_tried, deed) for deed in deeds])


def _tried(deed: Callable[[], R]) -> R | Exception:
    try:
        return deed()
    except Exception as error:  # noqa: BLE001  what was raised is what the test looks at
        return error
