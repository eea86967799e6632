"""A stop that is asked for while the main thread is anywhere else than at rest."""

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from integrations.embedded.child import Child
from integrations.embedded.signals import StopSignals, rest


@pytest.fixture
def signals() -> Iterator[StopSignals]:
    heard = StopSignals()
    with heard.installed():
        yield heard


class StruckLock:
    """A lock whose first taker is asked to stop the moment they have it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_new = True

    def acquire(self, blocking: bool = True) -> bool:
        taken = self._lock.acquire(blocking)
        if self._is_new:
            self._is_new = False
            os.kill(os.getpid(), signal.SIGTERM)
        return taken

    def release(self) -> None:
        self._lock.release()

    def locked(self) -> bool:
        return self._lock.locked()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


def test_a_signal_ends_the_next_rest_and_a_second_one_hurries(signals: StopSignals) -> None:
    rest(0)

    os.kill(os.getpid(), signal.SIGTERM)

    assert (signals.is_stopping, signals.is_hurried) == (True, False)
    with pytest.raises(KeyboardInterrupt):
        rest(0)
    os.kill(os.getpid(), signal.SIGINT)
    assert signals.is_hurried


def test_a_signal_that_comes_while_a_process_is_looked_at_leaves_it_to_be_stopped(
    state_dir: Path, signals: StopSignals
) -> None:
    child = Child(name="slow", command=["/bin/sleep", "600"], log_file=state_dir / "slow.log")
    child.start()
    assert child._process is not None
    lock = StruckLock()
    child._process._waitpid_lock = lock  # type: ignore[attr-defined]  # what guards `poll` and `wait`

    with pytest.raises(KeyboardInterrupt):
        child.wait(timeout_seconds=60)

    assert signals.is_stopping
    assert not lock.locked()
    child.stop(timeout_seconds=60)
    assert child.exit_status == -signal.SIGTERM
