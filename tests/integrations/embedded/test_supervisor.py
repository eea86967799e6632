import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from integrations.embedded import ports
from integrations.embedded.backoff import Backoff
from integrations.embedded.child import PROJECT_ROOT
from tests.integrations.embedded.conftest import survivors

Processes = Callable[[Path], dict[int, str]]
Wait = Callable[..., None]


class Stack:
    """A running ``fake_stack`` and what it has printed so far."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir
        self._output = state_dir / "output"
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.integrations.embedded.fake_stack", str(state_dir), str(ports.any_free())],
                cwd=PROJECT_ROOT,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def lines(self) -> list[str]:
        return self._output.read_text().splitlines()

    def says(self, text: str, *, times: int = 1) -> bool:
        assert self.process.poll() is None, f"the supervisor ended: {self.lines[-20:]}"
        return sum(text in line for line in self.lines) >= times

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def stack(state_dir: Path, wait_for: Wait, processes_of: Processes) -> Iterator[Stack]:
    running = Stack(state_dir)
    try:
        wait_for(lambda: running.says("all up"), what="the stack is up")
        yield running
    finally:
        running.end()
        wait_for(lambda: not processes_of(state_dir), what="everything ended")


def _pid(processes: dict[int, str], *words: str) -> int:
    return min(pid for pid, command in processes.items() if all(word in command for word in words))


def test_kill_9_of_the_supervisor_leaves_nothing_behind(stack: Stack, wait_for: Wait, processes_of: Processes) -> None:
    before = processes_of(stack.state_dir)
    commands = list(before.values())
    assert sum("granian" in command for command in commands) == 3
    assert sum("celery" in command for command in commands) == 3
    assert sum(command.startswith("postgres:") for command in commands) >= 4

    stack.end()

    wait_for(lambda: not survivors(before), what="nothing is left of the stack")


def test_crashes_are_mended_and_the_stop_is_in_order(stack: Stack, wait_for: Wait, processes_of: Processes) -> None:
    before = processes_of(stack.state_dir)

    os.kill(_pid(before, "celery"), signal.SIGKILL)
    wait_for(lambda: stack.says("worker ended with status -9; starting it again in 0.5 s"), what="the crash is said")
    wait_for(lambda: sum("celery" in c for c in processes_of(stack.state_dir).values()) == 3, what="the worker is back")
    assert survivors(pid for pid, command in before.items() if "celery" in command) == []

    os.kill(_pid(before, "integrations.embedded.kafka"), signal.SIGKILL)
    wait_for(lambda: stack.says("| plain speaks to 127.0.0.1:", times=2), what="the broker's users moved")
    addresses = {line.rsplit(" ", 1)[1] for line in stack.lines if "speaks to" in line}
    assert len(addresses) == 2

    stack.process.send_signal(signal.SIGTERM)
    assert stack.process.wait(timeout=30) == 0

    assert not processes_of(stack.state_dir)
    assert (stack.state_dir / "order").read_text() == "plain\n" * 2
    web, worker = ((stack.state_dir / "logs" / f"{name}.log").stat().st_mtime_ns for name in ("web", "worker"))
    plain = (stack.state_dir / "order").stat().st_mtime_ns
    assert web < plain < worker


def test_pauses_grow_with_each_crash_and_start_over_after_a_healthy_time() -> None:
    backoff = Backoff()

    pauses = []
    for _ in range(8):
        backoff.note_start(now=0)
        pauses.append(backoff.note_crash(now=1))

    assert pauses == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert not backoff.is_due(now=30)
    assert backoff.is_due(now=31)
    backoff.note_start(now=31)
    assert backoff.note_crash(now=100) == 0.5
