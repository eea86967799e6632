"""The processes of a stack, as the kernel knows them, to be killed."""

import os
import signal
from pathlib import Path

# What stands in the command line of each child of the supervisor.
WORDS = {
    "web": "granian",
    "gateway": "sandbox_gateway",
    "relay": "relay_outbox",
    "consumers": "consume_events",
    "worker": "settings.celery worker",
    "clock": "settings.celery beat",
    "postgres": "/bin/postgres",
    "redis": "redis-server",
    "kafka": "integrations.embedded.kafka",
}


def pid_of(name: str, *, supervisor: int) -> int | None:
    """Return the process the supervisor has started under this name, None while there is none."""
    found = [pid for pid in _children(supervisor) if WORDS[name] in command_of(pid)]
    return found[0] if found else None


def child_of(pid: int) -> int:
    """Return one process that this one has forked: a worker of the web server or of Celery."""
    return _children(pid)[0]


def family_of(pid: int) -> list[int]:
    """Return this process and all that it has forked, at any depth; parents come before their children."""
    return [pid, *(each for child in _children(pid) for each in family_of(child))]


def command_of(pid: int) -> str:
    """Return the process's command line; that of one that has ended is empty."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def kill(pid: int) -> None:
    """End it as a power cut would."""
    os.kill(pid, signal.SIGKILL)


def _children(parent: int) -> list[int]:
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]
    return sorted(pid for pid in pids if _parent(pid) == parent)


def _parent(pid: int) -> int | None:
    try:
        state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if state in {"Z", "X"} else int(parent)
