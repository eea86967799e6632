"""A stack of the bench's own, started as `make run` starts it: granian, relay, consumers, worker, clock, gateway."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import psycopg

from integrations.embedded.ports import any_free
from integrations.embedded.state import PROJECT_ROOT, running_environment

START_SECONDS = 120.0
STOP_SECONDS = 60.0
# So much that no shopper finds a shelf empty.
UNITS = 10_000_000


@dataclass(frozen=True)
class Stack:
    """What is running: the supervisor's process, where web and gateway answer, and the database."""

    supervisor_pid: int
    state_dir: Path
    web_port: int
    database_url: str

    def connect(self) -> "psycopg.Connection[tuple]":
        """Open a connection beside those of the shop."""
        return psycopg.connect(self.database_url, autocommit=True, application_name="bench")


@contextmanager
def running(state_dir: Path) -> Iterator[Stack]:
    """Start a stack whose data lies in `state_dir`, yield it with full shelves, and stop it."""
    state_dir.mkdir(parents=True, exist_ok=True)
    web, gateway = any_free(), any_free()
    environment = os.environ | {
        "SHOP_STATE_DIR": str(state_dir),
        "WEB_PORT": str(web),
        "GATEWAY_PORT": str(gateway),
        "LOG_JSON": "true",
        "DEBUG": "false",
        "THROTTLE_GUEST": "1000000/min",
    }
    for given in ("DATABASE_URL", "REDIS_URL", "KAFKA_BOOTSTRAP_SERVERS"):
        environment.pop(given, None)
    command = [sys.executable, "-m", "integrations.embedded", "run", "--quiet"]
    # A session of its own: Ctrl-C reaches the bench, and the bench stops the stack.
    process = subprocess.Popen(
        command, cwd=PROJECT_ROOT, env=environment, start_new_session=True, stdout=subprocess.DEVNULL
    )
    try:
        stack = _wait_until_ready(process, state_dir, web)
        _fill_shelves(stack)
        yield stack
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(STOP_SECONDS)


def _wait_until_ready(process: "subprocess.Popen[bytes]", state_dir: Path, web: int) -> Stack:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SystemExit("bench: the stack could not be started; what it said stands above")
        environment = running_environment(state_dir)
        if environment and _everything_is_up(state_dir, web):
            return Stack(process.pid, state_dir, web, environment["DATABASE_URL"])
        time.sleep(0.1)
    raise SystemExit(f"bench: the stack was not ready within {START_SECONDS:.0f} seconds")


def _everything_is_up(state_dir: Path, web: int) -> bool:
    # Touched by each process that does not answer HTTP, and removed when it is started anew.
    touched = {path.name for path in (state_dir / "ready").glob("*")}
    if not {"relay", "consumers", "worker", "clock"} <= touched:
        return False
    try:
        with urlopen(f"http://127.0.0.1:{web}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except URLError:
        return False


def _fill_shelves(stack: Stack) -> None:
    with stack.connect() as connection:
        connection.execute("UPDATE inventory_stock SET on_hand = %s", [UNITS])
        # Statistics of a database in use: a fresh one has none, and autovacuum is minutes away.
        connection.execute("ANALYZE")
