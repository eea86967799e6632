"""A supervisor with a small table of its own: ``python fake_stack.py STATE_DIR WEB_PORT``.

Web and worker are the real servers, Granian and Celery with their forked workers, around applications of a few lines.
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
import os, signal, sys, time
from pathlib import Path
order = Path(os.environ["SHOP_STATE_DIR"], "order")
def leave(*_):
    with order.open("a") as log:
        log.write(sys.argv[1] + chr(10))
    sys.exit(0)
signal.signal(signal.SIGTERM, leave)
print(sys.argv[1], "speaks to", os.environ["KAFKA_BOOTSTRAP_SERVERS"])
Path(os.environ["SHOP_READY_FILE"]).touch()
while True:
    signal.pause()
"""


def application(_environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Answer every request with 200."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"ok"]


def table(*, state_dir: Path, web_port: int) -> list[Process]:
    """Return a web server, a plain process that stops second, and a worker that stops last."""
    script = state_dir / "plain.py"
    script.write_text(PLAIN)
    module = "tests.integrations.embedded.fake_stack"
    ready = state_dir / "ready"
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
        Process(
            name="plain",
            command=(str(script), "plain"),
            environment={"SHOP_READY_FILE": str(ready / "plain")},
            is_ready=(ready / "plain").exists,
            stop_step=2,
            stop_seconds=10,
        ),
        Process(
            name="worker",
            command=("celery", "-A", module, "worker", "--concurrency", "2", "--loglevel", "INFO"),
            # Celery would set Django up where this variable names settings; this worker has nothing to do with them.
            environment={
                "PROMETHEUS_MULTIPROC_DIR": str(state_dir / "metrics" / "worker"),
                "DJANGO_SETTINGS_MODULE": "",
            },
            is_ready=lambda: b"ready." in (state_dir / "logs" / "worker.log").read_bytes(),
            stop_step=3,
            stop_seconds=10,
            uses_broker=False,
        ),
    ]


def main(*, state_dir: Path, web_port: int) -> None:
    """Run it until a signal comes, as ``make run`` does."""
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
            supervisor.start(table=table(state_dir=folder, web_port=web_port))
            supervisor.terminal.say("all up")
            supervisor.watch()
        except KeyboardInterrupt:
            supervisor.terminal.say("stopping")
        finally:
            supervisor.stop()


if __name__ == "__main__":
    main(state_dir=Path(sys.argv[1]), web_port=int(sys.argv[2]))
