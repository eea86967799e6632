"""State folders to start real servers in, and the processes that are left of them."""

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

# Longer than a busy machine takes: nobody waits that long for what comes.
DEADLINE_SECONDS = 90.0


@pytest.fixture
def state_dir(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An own state folder; the servers of the test run are out of sight."""
    for variable in ("DATABASE_URL", "REDIS_URL", "KAFKA_BOOTSTRAP_SERVERS", "SHOP_STATE_DIR"):
        monkeypatch.delenv(variable, raising=False)
    # Not tmp_path: that is too long for a socket, and closed to the user that PostgreSQL runs as when we are root.
    folder = Path(tempfile.mkdtemp(prefix="shop-t-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


def eventually(condition: Callable[[], bool], *, what: str) -> None:
    """Wait until the condition holds; fail with `what` if it does not."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.02)


@pytest.fixture
def wait_for() -> Callable[..., None]:
    """Wait for a condition with a deadline."""
    return eventually


@pytest.fixture
def processes_of() -> Callable[[Path], dict[int, str]]:
    """Tell which living processes carry a folder in their command, their environment or as working directory."""
    return living_processes_of


def living_processes_of(folder: Path) -> dict[int, str]:
    """Return pid and command of each; a backend of PostgreSQL shows only by its working directory."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            command = _command_in(entry, str(folder))
            if command is not None:
                found[int(entry.name)] = command
    return found


def _command_in(process: Path, folder: str) -> str | None:
    """Return the command of a process that belongs to the folder; None for others, and for one that ends meanwhile."""
    try:
        command = (process / "cmdline").read_bytes()
        seen = command + (process / "environ").read_bytes()
        if folder.encode() not in seen and not str((process / "cwd").readlink()).startswith(folder):
            return None
    except OSError:
        return None
    return command.replace(b"\0", b" ").decode()


def survivors(pids: Iterable[int]) -> list[int]:
    """Return those that still run; a process that ended but was not collected yet does not."""
    return [pid for pid in pids if _runs(pid)]


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in {"Z", "X"}
