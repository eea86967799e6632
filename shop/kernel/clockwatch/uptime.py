"""How long this machine has been up: the only clock nobody can set."""

import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Uptime:
    """Seconds since the start of one machine; those of two starts, or of two machines, cannot be compared."""

    boot_id: str
    seconds: float


def uptime() -> Uptime:
    """Return how long this machine has been up, its sleep included; without a boot id where no kernel tells one."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return Uptime(boot_id=_boot_id(), seconds=time.clock_gettime(clock))


@cache
def _boot_id() -> str:
    return _BOOT_ID.read_text().strip() if _BOOT_ID.exists() else ""
