"""PostgreSQL, Redis and a broker for a bench, and the processes that work there."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import psycopg

from integrations.embedded.apache_kafka import Cluster, apache_kafka
from integrations.embedded.ports import any_free
from integrations.embedded.services import embedded_services
from integrations.embedded.state import PROJECT_ROOT

PATIENCE_SECONDS = 60.0
# A stack's log has hundreds of thousands of events here, and none of them is to be told again.
OWN = {
    "DJANGO_SETTINGS_MODULE": "settings.dev",
    "KAFKA_REPUBLISH_AT_BOOT_SECONDS": "0",
    "LOG_LEVEL": "ERROR",
}
# Whatever fits an embedded one may stand in the environment of a test run.
FOR_A_REAL_BROKER = {
    "KAFKA_SESSION_TIMEOUT_MS": "6000",
    "KAFKA_TOPIC_PARTITIONS": "12",
}


@dataclass(frozen=True)
class Place:
    """Where a bench works: the environment its processes get, and a folder for what they leave."""

    folder: Path
    environment: dict[str, str]
    # Where a real Kafka serves.
    cluster: Cluster | None = None
    # The mount point of its disk, where it has one to itself.
    disk: Path | None = None

    def connect(self) -> "psycopg.Connection[tuple]":
        """Open a connection beside those of the shop."""
        return psycopg.connect(self.environment["DATABASE_URL"], autocommit=True, application_name="bench")

    def manage(self, *arguments: str) -> None:
        """Run a management command to its end."""
        command = [sys.executable, "manage.py", *arguments]
        subprocess.run(command, cwd=PROJECT_ROOT, env=self.environment, stdout=subprocess.DEVNULL, check=True)

    def start(self, *command: str, **environment: str) -> "subprocess.Popen[str]":
        """Start Python with this command line; what it prints can be read, what it is told can be written."""
        return subprocess.Popen(
            [sys.executable, *command],
            cwd=PROJECT_ROOT,
            env=self.environment | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    @contextmanager
    def running(self, *command: str, **environment: str) -> Iterator["subprocess.Popen[str]"]:
        """Run a process that says when it is ready by touching a file, and stop it in order at the end."""
        ready = self.folder / f"ready-{any_free()}"
        process = self.start(*command, SHOP_READY_FILE=str(ready), **environment)
        try:
            eventually(ready.exists, what=f"{command} to be ready")
            yield process
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(PATIENCE_SECONDS)
            process.kill()
            process.wait()


@contextmanager
def prepared(*, kafka: str, brokers: int = 1, disk_megabytes: int = 0) -> Iterator[Place]:
    """Start PostgreSQL (durable, as in production), Redis and the broker, and make tables and topics.

    A real Kafka has so many `brokers`; with `disk_megabytes` they have a disk of that size to themselves, which only
    root can give them.
    """
    for given in ("DATABASE_URL", "REDIS_URL", "KAFKA_BOOTSTRAP_SERVERS"):
        os.environ.pop(given, None)
    with tempfile.TemporaryDirectory(prefix="shop-bench-") as name, ExitStack() as servers:
        folder = Path(name)
        # PostgreSQL refuses to run as root and becomes another user, who must be able to pass through.
        folder.chmod(0o711)
        own = OWN | {"SHOP_STATE_DIR": str(folder)}
        cluster = None
        if kafka == "real":
            data = folder / "kafka"
            if disk_megabytes:
                servers.enter_context(_disk(data, megabytes=disk_megabytes))
            cluster = servers.enter_context(apache_kafka(data, brokers=brokers))
            os.environ["KAFKA_BOOTSTRAP_SERVERS"] = cluster.bootstrap_servers
            own |= FOR_A_REAL_BROKER | {"KAFKA_TOPIC_REPLICATION": str(cluster.copies)}
        addresses = servers.enter_context(embedded_services(folder / "state"))
        place = Place(
            folder, os.environ | addresses.as_environment() | own, cluster, folder / "kafka" if disk_megabytes else None
        )
        place.manage("migrate", "--verbosity", "0")
        place.manage("ensure_topics")
        yield place


@contextmanager
def _disk(folder: Path, *, megabytes: int) -> Iterator[None]:
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def eventually(look: Callable[[], object], *, what: str, seconds: float = PATIENCE_SECONDS) -> Any:
    """Look until there is something, and return it."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > deadline:
            raise SystemExit(f"bench: waited {seconds:.0f} s in vain for {what}")
        time.sleep(0.02)
    return found


def ask(process: "subprocess.Popen[str]", question: dict[str, Any]) -> dict[str, Any]:
    """Give a child one line to do, and return the line it answers when it is done."""
    tell(process, question)
    return answer(process)


def tell(process: "subprocess.Popen[str]", question: dict[str, Any]) -> None:
    """Give a child one line to do."""
    process.stdin.write(json.dumps(question) + "\n")
    process.stdin.flush()


def answer(process: "subprocess.Popen[str]") -> dict[str, Any]:
    """Wait for the line a child answers when it is done."""
    return json.loads(process.stdout.readline())


def metric(port: int, name: str) -> float:
    """Return the sum of a counter's samples at a process's metrics port; 0 before it answers."""
    with suppress(URLError, ConnectionError), urlopen(f"http://127.0.0.1:{port}/metrics", timeout=2) as page:
        lines = page.read().decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))
    return 0.0
