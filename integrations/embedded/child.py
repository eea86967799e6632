"""One process of the stack: started on a leash, logged to a file, stopped with patience and then without."""

import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from integrations.embedded import leash
from integrations.embedded.errors import NotReady
from integrations.embedded.signals import rest

PROJECT_ROOT = Path(__file__).resolve().parents[2]
POLL_SECONDS = 0.02
TAIL_LINES = 12


@dataclass(kw_only=True)
class Child:
    """A process that dies with this one; start it from the main thread (see `leash`).

    With `is_python` the command is a module or script for this interpreter, otherwise a program's absolute path.
    """

    name: str
    command: Sequence[str]
    log_file: Path
    environment: Mapping[str, str] | None = None
    is_python: bool = False
    user: str = ""
    stop_signal: signal.Signals = signal.SIGTERM
    death_signal: signal.Signals = signal.SIGKILL
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def pid(self) -> int | None:
        """The process id, or None before the first start."""
        return self._process.pid if self._process else None

    @property
    def exit_status(self) -> int | None:
        """How the process ended (negative: by that signal), or None while it runs or was never started."""
        return self._process.poll() if self._process else None

    @property
    def is_running(self) -> bool:
        """Whether the process was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the process in a session of its own, so that a terminal's Ctrl-C reaches only the supervisor."""
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603  every command comes from the tables in this package
                self._leashed_command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=PROJECT_ROOT if self.is_python else "/",
                env=dict(self.environment) if self.environment is not None else None,
                start_new_session=True,
            )

    def _leashed_command(self) -> list[str]:
        if self.is_python:
            return leash.python_command_line(target=self.command, death_signal=self.death_signal)
        return leash.command_line(program=self.command, death_signal=self.death_signal, user=self.user)

    def wait_until(self, is_ready: Callable[[], bool], *, timeout_seconds: float) -> None:
        """Return once `is_ready` says so; raise NotReady if the process ends or the time is over before."""
        deadline = time.monotonic() + timeout_seconds
        while not is_ready():
            if not self.is_running:
                raise self.not_ready(reason=f"ended with status {self.exit_status} while it was started")
            if time.monotonic() > deadline:
                raise self.not_ready(reason=f"was not ready within {timeout_seconds:g} seconds")
            rest(POLL_SECONDS)

    def wait(self, *, timeout_seconds: float) -> int:
        """Wait for the process to end by itself and return its status; raise NotReady if the time is over before."""
        if self._process is None:
            raise self.not_ready(reason="was never started")
        deadline = time.monotonic() + timeout_seconds
        while (status := self._process.poll()) is None:
            if time.monotonic() > deadline:
                raise self.not_ready(reason=f"did not end within {timeout_seconds:g} seconds")
            rest(POLL_SECONDS)
        return status

    def ask_to_stop(self) -> None:
        """Signal the process itself, not its group: a group signal would also cut off the work of its children."""
        if self._process is not None and self.is_running:
            self._process.send_signal(self.stop_signal)

    def kill(self) -> None:
        """End the process now; its own forks die with it, see `leash`."""
        if self._process is not None and self.is_running:
            self._process.kill()
            self._process.wait()

    def stop(self, *, timeout_seconds: float) -> None:
        """Ask the process to stop, wait for it, and kill it if it takes longer than allowed."""
        self.ask_to_stop()
        deadline = time.monotonic() + timeout_seconds
        while self.is_running and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        self.kill()

    def not_ready(self, *, reason: str) -> NotReady:
        """Return the error that names this process, the reason, and the end of its log."""
        return NotReady(name=self.name, reason=reason, log_file=self.log_file, tail=self._log_tail())

    def _log_tail(self) -> str:
        if not self.log_file.exists():
            return ""
        lines = self.log_file.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(f"    {line}" for line in lines[-TAIL_LINES:])
