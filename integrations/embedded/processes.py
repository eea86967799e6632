"""The table of processes behind `make run`: what runs, how each shows that it is up, and when it stops."""

import http.client
import os
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from integrations.embedded import places, ports
from integrations.embedded.errors import EmbeddedError, PortTaken

PROBE_TIMEOUT_SECONDS = 2.0
WEB_WORKERS = 2
WEB_THREADS = 4
# Connections one web worker has at a time; what comes on top waits in the kernel's queue. Those a proxy keeps open
# without a request count, too: with as few as there are threads, they would hold up all others for half a minute.
WEB_BACKPRESSURE = 1_024
# Callbacks wait for the gateway most of their time, and one of these may be busy with mails.
TASKS_AT_ONCE = 4


@dataclass(frozen=True, kw_only=True)
class Ports:
    """Every port this stack listens on, apart from those of the three services."""

    web: int
    gateway: int
    relay_metrics: int
    consumers_metrics: int
    worker_metrics: int

    def as_environment(self) -> dict[str, str]:
        """Return the variables by which other commands find these ports."""
        return {
            "WEB_PORT": str(self.web),
            "GATEWAY_PORT": str(self.gateway),
            "RELAY_METRICS_PORT": str(self.relay_metrics),
            "CONSUMERS_METRICS_PORT": str(self.consumers_metrics),
            "WORKER_METRICS_PORT": str(self.worker_metrics),
        }


@dataclass(frozen=True, kw_only=True)
class Process:
    """One line of the table."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    is_ready: Callable[[], bool]
    stop_step: int
    stop_seconds: float
    uses_broker: bool = True


def chosen_ports(*, environment: Mapping[str, str]) -> Ports:
    """Read the ports from the environment; without a word about metrics, take 9101 to 9103 or free ones."""
    return Ports(
        web=_port_from(environment, "WEB_PORT", default=8000),
        gateway=_port_from(environment, "GATEWAY_PORT", default=8001),
        relay_metrics=_port_or_free(environment, "RELAY_METRICS_PORT", preferred=9101),
        consumers_metrics=_port_or_free(environment, "CONSUMERS_METRICS_PORT", preferred=9102),
        worker_metrics=_port_or_free(environment, "WORKER_METRICS_PORT", preferred=9103),
    )


def require_free(*, chosen: Ports) -> None:
    """Raise PortTaken if another program listens where the web server or the gateway should."""
    for port, variable in ((chosen.web, "WEB_PORT"), (chosen.gateway, "GATEWAY_PORT")):
        if not ports.is_free(port=port):
            raise PortTaken(port=port, variable=variable)


def preparations() -> tuple[tuple[str, ...], ...]:
    """Return the commands that run to their end, one after the other, before anything serves; each is idempotent."""
    # Django's checks load every URL, which doubles the start of a process that serves none; `make check` runs them.
    return (("manage.py", "migrate", "--noinput", "--skip-checks"), ("manage.py", "seed"))


def process_table(*, chosen: Ports, state_dir: Path) -> tuple[Process, ...]:
    """Return the processes in the order in which they are started."""
    return (
        _web(chosen, state_dir),
        _gateway(chosen),
        _clock(state_dir),
        _relay(chosen, state_dir),
        _consumers(chosen, state_dir),
        _worker(chosen, state_dir),
    )


def _web(chosen: Ports, state_dir: Path) -> Process:
    return Process(
        name="web",
        command=(
            "granian",
            *("--interface", "wsgi"),
            *("--host", ports.LOOPBACK, "--port", str(chosen.web)),
            *("--workers", str(WEB_WORKERS), "--blocking-threads", str(WEB_THREADS)),
            *("--backpressure", str(WEB_BACKPRESSURE)),
            *("--workers-kill-timeout", "8"),
            "--respawn-failed-workers",
            "--no-ws",
            "--no-access-log",
            "settings.wsgi:application",
        ),
        environment=_metrics_folder("web", state_dir),
        is_ready=HttpProbe(port=chosen.web, path="/readyz"),
        stop_step=1,
        stop_seconds=10,
    )


def _gateway(chosen: Ports) -> Process:
    return Process(
        name="gateway",
        command=("manage.py", "sandbox_gateway", "--port", str(chosen.gateway)),
        environment={},
        is_ready=HttpProbe(port=chosen.gateway, path="/healthz"),
        stop_step=1,
        stop_seconds=5,
        uses_broker=False,
    )


def _clock(state_dir: Path) -> Process:
    schedule = state_dir / "celerybeat-schedule"
    return Process(
        name="clock",
        command=("celery", "-A", "settings.celery", "beat", "--schedule", str(schedule), "--pidfile", ""),
        environment=_ready_file("clock", state_dir),
        is_ready=_file_exists("clock", state_dir),
        stop_step=1,
        stop_seconds=5,
        uses_broker=False,
    )


def _relay(chosen: Ports, state_dir: Path) -> Process:
    return Process(
        name="relay",
        command=("manage.py", "relay_outbox"),
        environment={**_ready_file("relay", state_dir), "METRICS_PORT": str(chosen.relay_metrics)},
        is_ready=_file_exists("relay", state_dir),
        stop_step=2,
        stop_seconds=10,
    )


def _consumers(chosen: Ports, state_dir: Path) -> Process:
    return Process(
        name="consumers",
        command=("manage.py", "consume_events"),
        environment={**_ready_file("consumers", state_dir), "METRICS_PORT": str(chosen.consumers_metrics)},
        is_ready=_file_exists("consumers", state_dir),
        stop_step=2,
        stop_seconds=10,
    )


def _worker(chosen: Ports, state_dir: Path) -> Process:
    # Gossip and mingling are for workers that know each other; there is one, and they cost seconds at the start.
    options = ("--concurrency", str(TASKS_AT_ONCE), "--loglevel", "INFO", "--without-gossip", "--without-mingle")
    return Process(
        name="worker",
        command=("celery", "-A", "settings.celery", "worker", *options),
        environment={
            **_ready_file("worker", state_dir),
            **_metrics_folder("worker", state_dir),
            "METRICS_PORT": str(chosen.worker_metrics),
        },
        is_ready=_file_exists("worker", state_dir),
        stop_step=3,
        stop_seconds=30,
    )


class HttpProbe:
    """Ask a URL again and again, without holding up whoever waits for the answer."""

    _threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="probe")

    def __init__(self, *, port: int, path: str) -> None:
        """Describe the URL on the loopback address."""
        self._port = port
        self._path = path
        self._answer: Future[int] | None = None

    def __call__(self) -> bool:
        """Tell whether the last question was answered with 200; ask the next one if none is under way."""
        if self._answer is None:
            self._answer = self._threads.submit(self._status)
        if not self._answer.done():
            return False
        status = self._answer.result()
        self._answer = None
        return status == http.HTTPStatus.OK

    def _status(self) -> int:
        connection = http.client.HTTPConnection(ports.LOOPBACK, self._port, timeout=PROBE_TIMEOUT_SECONDS)
        try:
            connection.request("GET", self._path)
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            connection.close()


def ready_file(*, name: str, state_dir: Path) -> Path:
    """Return the file that the process of this name touches once it is up (`SHOP_READY_FILE`)."""
    return state_dir / "ready" / name


def _ready_file(name: str, state_dir: Path) -> dict[str, str]:
    return {"SHOP_READY_FILE": str(ready_file(name=name, state_dir=state_dir))}


def _file_exists(name: str, state_dir: Path) -> Callable[[], bool]:
    return ready_file(name=name, state_dir=state_dir).exists


def _metrics_folder(name: str, state_dir: Path) -> dict[str, str]:
    return {"PROMETHEUS_MULTIPROC_DIR": str(places.figures_folder(state_dir=state_dir) / name)}


def _port_or_free(environment: Mapping[str, str], variable: str, *, preferred: int) -> int:
    default = preferred if ports.is_free(port=preferred) else ports.any_free()
    return _port_from(environment, variable, default=default)


def _port_from(environment: Mapping[str, str], variable: str, *, default: int) -> int:
    text = environment.get(variable) or str(default)
    if not text.isdecimal() or not 0 < int(text) < 2**16:
        raise EmbeddedError(f"{variable}={text} is not a port number; for example: {variable}={default} make run")
    return int(text)


def child_environment(
    *, addresses: Mapping[str, str], chosen: Ports, state_dir: Path, base: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """Return what every process of the table and every preparation finds in its environment."""
    return {
        "DJANGO_SETTINGS_MODULE": "settings.dev",
        **base,
        **addresses,
        **chosen.as_environment(),
        "SHOP_STATE_DIR": str(state_dir),
        "PYTHONUNBUFFERED": "1",
        # Loading every URL for Django's checks would double the start of the worker and the clock.
        "CELERY_SKIP_CHECKS": "1",
    }
