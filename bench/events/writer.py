"""A process that tells events as a request does: a unit of work with one event each.

Reads jobs from standard input, a JSON line each: `{"rate": 300, "seconds": 20}`; rate 0 is as fast as it goes. Answers
with the instant of each commit by key, and with what a commit cost of CPU.
"""

import json
import random
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import django

django.setup()

from django.db import connection

from bench.events.told import payment_succeeded
from shop.kernel.ids import new_id
from shop.kernel.outbox.services import publish
from shop.kernel.transactions import open_unit_of_work

THREADS = 4


def main() -> None:
    """Do one job after the other."""
    for line in sys.stdin:
        print(json.dumps(write(**json.loads(line))), flush=True)


def write(*, rate: float, seconds: float, threads: int = THREADS, keys: bool = True) -> dict[str, Any]:
    """Tell events for so long, at random instants so many a second on average."""
    cpu, began = time.process_time(), time.monotonic()
    with ThreadPoolExecutor(threads) as pool:
        parts = list(pool.map(lambda _: _write(rate / threads, began + seconds), range(threads)))
    commits, lasted = sum(map(len, parts)), time.monotonic() - began
    return {
        "committed": [pair for part in parts for pair in part] if keys else [],
        "commits": commits,
        "per_second": commits / lasted,
        "cpu_us": (time.process_time() - cpu) / commits * 1e6,
    }


def _write(rate: float, until: float) -> list[tuple[str, float]]:
    committed, due = [], time.monotonic()
    while time.monotonic() < until:
        if rate:
            due += random.expovariate(rate)
            time.sleep(max(0.0, due - time.monotonic()))
        key = str(tell())
        committed.append((key, time.time()))
    connection.close()
    return committed


def tell() -> Any:
    """Tell one event under a key of its own, and return the key."""
    key = new_id()
    with open_unit_of_work():
        publish(payment_succeeded(key=key))
    return key


if __name__ == "__main__":
    main()
