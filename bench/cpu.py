"""CPU seconds by process group, from /proc: what a purchase costs, wherever it is spent."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
# What stands in a process's command line -> the group it belongs to; its children belong to it as well.
_GROUPS = {
    "bin/postgres": "postgres",
    "settings.wsgi": "web",
    "sandbox_gateway": "gateway",
    "beat": "clock",
    "relay_outbox": "relay",
    "consume_events": "consumers",
    "worker": "worker",
    "redis-server": "redis",
    "integrations.embedded.kafka": "kafka",
    "kafka.Kafka": "kafka",
}


def seconds_by_group(supervisor_pid: int) -> dict[str, float]:
    """Return the CPU seconds that each group of the supervisor's children has used until now."""
    used = dict.fromkeys(_GROUPS.values(), 0.0)
    for pid in _children(supervisor_pid):
        group = _group_of(pid)
        if group:
            used[group] += seconds_of(pid)
    return used


def seconds_of(pid: int) -> float:
    """Return the CPU seconds that a process and all that it has begotten have used until now."""
    return sum(_seconds(member) for member in _family(pid))


def _group_of(pid: int) -> str | None:
    command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return next((group for sign, group in _GROUPS.items() if sign in command), None)


def _family(pid: int) -> Iterator[int]:
    yield pid
    for child in _children(pid):
        yield from _family(child)


def _children(pid: int) -> list[int]:
    """Return the children of all threads of a process; none of one that has ended meanwhile."""
    found: list[int] = []
    with suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += [int(child) for child in (task / "children").read_text().split()]
    return found


def _seconds(pid: int) -> float:
    """Return what a process and its children that have ended have used."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return sum(int(ticks) for ticks in fields[11:15]) / _TICKS_A_SECOND
