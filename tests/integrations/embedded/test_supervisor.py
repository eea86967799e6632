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
from tests.integrations.sandbox_gateway.harness import parents

Processes = Callable[[Path], dict[int, str]]
Wait = Callable[..., None]


class Stack:
    """A running `fake_stack` and what it has printed so far."""

    def __init__(self, state_dir: Path, *, web_port: int) -> None:
        self._output = state_dir / "output"
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.integrations.embedded.fake_stack", str(state_dir), str(web_port)],
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
def start(state_dir: Path, wait_for: Wait, processes_of: Processes) -> Iterator[Callable[..., Stack]]:
    running = []

    def started(*, web_port: int) -> Stack:
        stack = Stack(state_dir, web_port=web_port)
        running.append(stack)
        wait_for(lambda: stack.says("all up"), what="the stack is up")
        return stack

    yield started
    for stack in running:
        stack.end()
    wait_for(lambda: not processes_of(state_dir), what="everything ended")


def _pid(processes: dict[int, str], word: str, *, of: Stack) -> int:
    """Return the process that the supervisor itself has started, and not one that this has forked."""
    parent_of = parents()
    (pid,) = (pid for pid, command in processes.items() if word in command and parent_of.get(pid) == of.process.pid)
    return pid


def _count(processes: dict[int, str], word: str) -> int:
    return sum(word in command for command in processes.values())


def test_crashes_are_mended_and_kill_9_of_the_supervisor_leaves_nothing_behind(
    start: Callable[..., Stack], state_dir: Path, wait_for: Wait, processes_of: Processes
) -> None:
    stack = start(web_port=ports.any_free())
    first = processes_of(state_dir)

    workers = [pid for pid, command in first.items() if "celery" in command]
    os.kill(_pid(first, "celery", of=stack), signal.SIGKILL)
    wait_for(lambda: stack.says("worker ended with status -9; starting it again in 0.5 s"), what="the crash is said")
    wait_for(
        lambda: _count(processes_of(state_dir), "celery") == 3 and not survivors(workers),
        what="the worker and its processes are back, and only once",
    )

    os.kill(_pid(first, "integrations.embedded.kafka", of=stack), signal.SIGKILL)
    wait_for(lambda: stack.says("| plain speaks to 127.0.0.1:", times=2), what="the broker's users moved")
    addresses = {line.rsplit(" ", 1)[1] for line in stack.lines if "speaks to" in line}
    assert len(addresses) == 2

    # Granian answers as soon as the first of its workers is there.
    wait_for(lambda: _count(processes_of(state_dir), "granian") == 3, what="both web workers run")
    last = processes_of(state_dir)
    assert _count(last, "postgres:") >= 4
    stack.end()
    wait_for(lambda: not survivors(last), what="nothing is left of the stack")


def test_a_stop_is_in_order(
    start: Callable[..., Stack], state_dir: Path, processes_of: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("DATABASE_URL", "REDIS_URL", "KAFKA_BOOTSTRAP_SERVERS"):
        monkeypatch.setenv(variable, "given")
    stack = start(web_port=0)

    stack.process.send_signal(signal.SIGTERM)

    assert stack.process.wait(timeout=90) == 0
    assert not processes_of(state_dir)
    assert (state_dir / "order").read_text().split() == ["first", "plain", "last"]


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
