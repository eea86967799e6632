"""The state folder: who holds it, what runs in it, and whether there is room for it."""

import errno
import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from integrations.embedded.errors import AlreadyRunning, EmbeddedError

PROJECT_ROOT = Path(__file__).resolve().parents[2]
LOCK_FILE = "lock"
ENVIRONMENT_FILE = "environment.json"
NEEDED_BYTES = 300 * 1024 * 1024
# Somebody who asks whether the stack runs holds the lock for an instant; that must not look like a running stack.
LOCK_PATIENCE_SECONDS = 0.5


def default_state_dir() -> Path:
    """Return `SHOP_STATE_DIR`, or `.state` in the project's root."""
    return Path(os.environ.get("SHOP_STATE_DIR") or PROJECT_ROOT / ".state").absolute()


def apache_kafka_dir(*, state_dir: Path) -> Path:
    """Return where a real Kafka keeps its data: inside the state folder, with a lock of its own."""
    return state_dir / "apache-kafka"


def running_environment(state_dir: Path | None = None) -> dict[str, str] | None:
    """Return the variables that lead to the stack running in this folder, or None if none runs.

    What a killed stack wrote is ignored: only a lock that is held now counts.
    """
    folder = state_dir or default_state_dir()
    try:
        with (folder / LOCK_FILE).open("r", encoding="utf-8") as lock:
            if _try_lock(lock, fcntl.LOCK_SH):
                return None
        found = json.loads((folder / ENVIRONMENT_FILE).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, PermissionError, json.JSONDecodeError):
        return None
    return {str(name): str(value) for name, value in found.items()}


@contextmanager
def locked_state(*, state_dir: Path, url: str = "") -> Iterator[Path]:
    """Create the folder (mode 0700) if need be, and hold it alone until the block ends.

    Raises AlreadyRunning if another process holds it, EmbeddedError if it cannot be written or the disk is full.
    """
    folder = state_dir.absolute()
    with _explained(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _require_own(folder)
        _require_room(folder)
        lock = (folder / LOCK_FILE).open("a+", encoding="utf-8")
    with lock:
        _take(lock)
        with _explained(folder):
            _write_holder(lock, url=url)
            (folder / ENVIRONMENT_FILE).unlink(missing_ok=True)
            _rotate_logs(folder / "logs")
        try:
            yield folder
        finally:
            (folder / ENVIRONMENT_FILE).unlink(missing_ok=True)


def publish_environment(*, state_dir: Path, environment: Mapping[str, str]) -> None:
    """Write down how other commands reach what runs in this folder; readers see the old file or the new one."""
    draft = state_dir / f"{ENVIRONMENT_FILE}.draft"
    draft.touch(mode=0o600)
    draft.write_text(json.dumps(dict(environment), indent=2) + "\n", encoding="utf-8")
    draft.replace(state_dir / ENVIRONMENT_FILE)


def _try_lock(lock: TextIO, kind: int) -> bool:
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _take(lock: TextIO) -> None:
    deadline = time.monotonic() + LOCK_PATIENCE_SECONDS
    while not _try_lock(lock, fcntl.LOCK_EX):
        if time.monotonic() > deadline:
            raise _already_running(lock)
        time.sleep(0.02)


def _already_running(lock: TextIO) -> AlreadyRunning:
    lock.seek(0)
    try:
        holder = json.loads(lock.read())
    except json.JSONDecodeError:
        holder = {}
    return AlreadyRunning(pid=holder.get("pid"), url=holder.get("url", ""))


def _write_holder(lock: TextIO, *, url: str) -> None:
    lock.seek(0)
    lock.truncate()
    json.dump({"pid": os.getpid(), "url": url}, lock)
    lock.flush()


def _rotate_logs(logs: Path) -> None:
    logs.mkdir(exist_ok=True)
    for log in logs.glob("*.log"):
        log.replace(log.with_suffix(".log.1"))


def _require_own(folder: Path) -> None:
    # Two users in one folder would leave each other files they cannot read.
    if folder.stat().st_uid != os.geteuid():
        raise EmbeddedError(
            f"the state folder {folder} belongs to {folder.owner()}; name another place: SHOP_STATE_DIR=/path make run"
        )


def _require_room(folder: Path) -> None:
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < NEEDED_BYTES:
        raise EmbeddedError(
            f"only {free_bytes // 2**20} MB are free for {folder}, {NEEDED_BYTES // 2**20} MB are needed;"
            " free some, or name another place: SHOP_STATE_DIR=/path make run"
        )


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = "no space is left" if error.errno == errno.ENOSPC else (error.strerror or str(error)).lower()
        raise EmbeddedError(
            f"cannot write the state folder {folder}: {reason}; name another place: SHOP_STATE_DIR=/path make run"
        ) from error
