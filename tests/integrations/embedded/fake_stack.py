"""A supervisor with a small table of its own: `python -m tests.integrations.embedded.fake_stack STATE_DIR WEB_PORT`.

Web and worker are the real servers, Granian and Celery with their forked workers, around applications of a few lines.
With 0 for the port there are only three scripts, which write down when they are asked to stop.
"""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from celery import Celery

from integrations.embedded.processes import HttpProbe, Ports, Process
from integrations.embedded.services import Services
from integrations.embedded.signals import StopSignals
from integrations.embedded.state import locked_state
from integrations.embedded.supervisor import Supervisor
from integrations.embedded.terminal import Terminal

app = Celery("fake", broker="memory://")

PLAIN = """
import os, signal, sys
from pathlib import Path
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
print(sys.argv[1], "speaks to", os.environ["KAFKA_BOOTSTRAP_SERVERS"])
Path(os.environ["SHOP_READY_FILE"]).touch()
signal.sigwait([signal.SIGTERM])
with Path(os.environ["SHOP_STATE_DIR"], "order").open("a") as log:
    log.write(sys.argv[1] + chr(10))
"""


def application(_environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Answer every request with 200."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"ok"]


def scripts(*, state_dir: Path) -> list[Process]:
    """Return three scripts, in an order that is not the one in which they stop."""
    return [_script("last", state_dir, stop_step=3), _script("first", state_dir, stop_step=1), _plain(state_dir)]


def servers(*, state_dir: Path, web_port: int) -> list[Process]:
    """Return a web server with two workers, a script that uses the broker, and a Celery worker with two processes."""
    module = "tests.integrations.embedded.fake_stack"
    worker_log = state_dir / "logs" / "worker.log"
    return [
        Process(
            name="web",
            command=(
                *("granian", "--interface", "wsgi", "--port", str(web_port)),
                *("--workers", "2", "--blocking-threads", "1", f"{module}:application"),
            ),
            environment={},
            is_ready=HttpProbe(port=web_port, path="/"),
            stop_step=1,
            stop_seconds=10,
            uses_broker=False,
        ),
        _plain(state_dir),
        Process(
            name="worker",
            command=("celery", "-A", module, "worker", "--concurrency", "2", "--loglevel", "INFO"),
            # Celery would set Django up where this variable names settings; this worker has nothing to do with them.
            environment={"DJANGO_SETTINGS_MODULE": ""},
            is_ready=lambda: b"ready." in worker_log.read_bytes(),
            stop_step=3,
            stop_seconds=10,
            uses_broker=False,
        ),
    ]


def _plain(state_dir: Path) -> Process:
    return _script("plain", state_dir, stop_step=2)


def _script(name: str, state_dir: Path, *, stop_step: int) -> Process:
    script = state_dir / "plain.py"
    script.write_text(PLAIN)
    ready = state_dir / "ready" / name
    return Process(
        name=name,
        command=(str(script), name),
        environment={"SHOP_READY_FILE": str(ready)},
        is_ready=ready.exists,
        stop_step=stop_step,
        stop_seconds=10,
    )


def main(*, state_dir: Path, web_port: int) -> None:
    """Run it until a signal comes, as `make run` does."""
    chosen = Ports(web=web_port, gateway=1, relay_metrics=1, consumers_metrics=1, worker_metrics=1)
    signals = StopSignals()
    with locked_state(state_dir=state_dir, url="http://fake") as folder, signals.installed():
        supervisor = Supervisor(
            state_dir=folder,
            chosen=chosen,
            services=Services(state_dir=folder, durable=False),
            terminal=Terminal(),
            signals=signals,
        )
        try:
            supervisor.start_services()
            supervisor.start(
                table=servers(state_dir=folder, web_port=web_port) if web_port else scripts(state_dir=folder)
            )
            supervisor.terminal.say("all up")
            supervisor.watch()
        except KeyboardInterrupt:
            supervisor.terminal.say("stopping")
        finally:
            supervisor.stop()


if __name__ == "__main__":
    main(state_dir=Path(sys.argv[1]), web_port=int(sys.argv[2]))
