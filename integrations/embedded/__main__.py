"""The command line: `run` the whole stack, run one command beside the three `services`, or a real `kafka`."""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from integrations.embedded.apache_kafka import VERSION as KAFKA_VERSION
from integrations.embedded.apache_kafka import Cluster, apache_kafka
from integrations.embedded.errors import EmbeddedError, NoJava
from integrations.embedded.leash import command_line
from integrations.embedded.prepared import API_KEY, is_prepared, note_prepared
from integrations.embedded.processes import Ports, chosen_ports, preparations, process_table, require_free
from integrations.embedded.services import Services, embedded_services
from integrations.embedded.signals import StopSignals
from integrations.embedded.state import apache_kafka_dir, default_state_dir, locked_state
from integrations.embedded.supervisor import Supervisor
from integrations.embedded.terminal import Terminal

SHELL_SIGNAL_STATUS = 128


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line, do it, and return the exit status; what went wrong is one line on standard error."""
    # Logs, keys and addresses in the state folder are nobody else's business.
    os.umask(0o077)
    options = _parser().parse_args(arguments)
    try:
        _require_linux()
        return _do(options)
    except EmbeddedError as error:
        Terminal(stream=sys.stderr).say(f"shop: {error}")
    except OSError as error:
        where = f" {error.filename}" if error.filename else ""
        Terminal(stream=sys.stderr).say(f"shop: {error.strerror or error}{where}")
    return 1


def _do(options: argparse.Namespace) -> int:
    state_dir: Path | None = options.state_dir
    if options.action == "run":
        return run(state_dir=state_dir or default_state_dir(), is_quiet=options.quiet)
    if options.action == "services":
        return run_beside_services(command=options.command, state_dir=state_dir)
    if not options.command:
        return run_kafka(folder=apache_kafka_dir(state_dir=state_dir or default_state_dir()))
    try:
        return run_beside_kafka(command=options.command)
    except NoJava as error:
        if not options.if_possible:
            raise
        Terminal().say(f"left out: {error}")
        return 0


def run(*, state_dir: Path, is_quiet: bool) -> int:
    """Run the whole stack until Ctrl-C or SIGTERM; return 0 after an orderly stop."""
    began_at = time.monotonic()
    terminal = Terminal()
    signals = StopSignals()
    chosen = chosen_ports(environment=os.environ)
    with locked_state(state_dir=state_dir, url=f"http://127.0.0.1:{chosen.web}") as folder:
        require_free(chosen=chosen)
        services = Services(state_dir=folder)
        supervisor = Supervisor(
            state_dir=folder,
            chosen=chosen,
            services=services,
            terminal=terminal,
            signals=signals,
            is_quiet=is_quiet,
        )
        with signals.installed():
            try:
                supervisor.start_services()
                if services.database_is_fresh or not is_prepared(state_dir=folder):
                    supervisor.prepare(commands=preparations())
                    note_prepared(state_dir=folder)
                supervisor.start(table=process_table(chosen=chosen, state_dir=folder))
                terminal.say(_welcome(chosen=chosen, folder=folder, seconds=time.monotonic() - began_at))
                supervisor.watch()
            except KeyboardInterrupt:
                terminal.say("stopping (once more to hurry)")
            finally:
                supervisor.stop()
    terminal.say("stopped")
    return 0


def run_beside_services(*, command: Sequence[str], state_dir: Path | None) -> int:
    """Run a command with the three services' addresses in its environment and return its exit status.

    Without a state folder a temporary one is used, and nothing in it needs to survive a crash of the machine.
    """
    with (
        _state_or_temporary(state_dir) as folder,
        embedded_services(folder, durable=state_dir is not None) as addresses,
    ):
        environment = {**addresses.as_environment(), "SHOP_STATE_DIR": str(folder)}
        return _status_of(command, environment=environment)


def run_kafka(*, folder: Path) -> int:
    """Run a real Kafka, whose data stay in the folder, until Ctrl-C or SIGTERM; return 0 after an orderly stop."""
    terminal = Terminal()
    signals = StopSignals()
    with locked_state(state_dir=folder) as held, signals.installed():
        cluster = Cluster(folder=held)
        try:
            cluster.start()
            terminal.say(
                f"Apache Kafka {KAFKA_VERSION} answers at {cluster.bootstrap_servers}; Ctrl-C stops it\n"
                f"  to use it  KAFKA_BOOTSTRAP_SERVERS={cluster.bootstrap_servers} make run"
            )
            cluster.watch()
        except KeyboardInterrupt:
            terminal.say("stopping")
        finally:
            cluster.stop()
    terminal.say("stopped")
    return 0


def run_beside_kafka(*, command: Sequence[str]) -> int:
    """Run a command with the address of a real Kafka of its own in its environment and return its exit status."""
    with tempfile.TemporaryDirectory(prefix="shop-") as folder, apache_kafka(Path(folder)) as cluster:
        return _status_of(command, environment={"KAFKA_BOOTSTRAP_SERVERS": cluster.bootstrap_servers})


def _status_of(command: Sequence[str], *, environment: Mapping[str, str]) -> int:
    program = shutil.which(command[0])
    if program is None:
        raise EmbeddedError(f"there is no command {command[0]}")
    leashed = command_line(program=[program, *command[1:]], death_signal=signal.SIGTERM)
    process = subprocess.Popen(leashed, env={**os.environ, **environment})  # noqa: S603  the person at the terminal chose it
    # Ctrl-C reaches the command by itself, it is in the same foreground group; a SIGTERM is meant for it.
    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, signal.SIG_IGN),
        signal.SIGTERM: signal.signal(signal.SIGTERM, lambda number, _frame: process.send_signal(number)),
    }
    try:
        status = process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return status if status >= 0 else SHELL_SIGNAL_STATUS - status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m integrations.embedded", description=__doc__)
    actions = parser.add_subparsers(dest="action", required=True)
    runner = actions.add_parser("run", help="start everything and keep it running until Ctrl-C")
    runner.add_argument("--quiet", action="store_true", help="keep the processes' logs in their files")
    beside = actions.add_parser("services", help="run COMMAND beside PostgreSQL, Redis and Kafka only")
    beside.add_argument("command", nargs="+", metavar="-- COMMAND", help="what to run")
    kafka = actions.add_parser("kafka", help="start a real Apache Kafka, or run COMMAND beside one")
    kafka.add_argument("--if-possible", action="store_true", help="without Java: say so and leave COMMAND out")
    kafka.add_argument("command", nargs="*", metavar="-- COMMAND", help="what to run")
    for action in (runner, beside, kafka):
        action.add_argument("--state-dir", type=Path, help="where the data lives")
    return parser


def _require_linux() -> None:
    if sys.platform != "linux":
        raise EmbeddedError(f"the embedded stack needs Linux, this is {sys.platform}; use a Linux container")


def _welcome(*, chosen: Ports, folder: Path, seconds: float) -> str:
    web, gateway = f"http://127.0.0.1:{chosen.web}", f"http://127.0.0.1:{chosen.gateway}"
    key_file = folder / API_KEY
    key = key_file.read_text(encoding="ascii").strip() if key_file.exists() else f"none yet in {key_file}"
    metrics = ", ".join(
        f"{name} :{port}"
        for name, port in (
            ("relay", chosen.relay_metrics),
            ("consumers", chosen.consumers_metrics),
            ("worker", chosen.worker_metrics),
        )
    )
    return "\n".join(
        (
            "",
            f"ready in {seconds:.1f} s; Ctrl-C stops everything",
            f"  API       {web}",
            f"  docs      {web}/docs",
            f"  admin     {web}/admin/",
            f"  gateway   {gateway}",
            f"  metrics   {web}/metrics, {metrics}",
            "  shopper   shopper@example.com / shopper-demo-1",
            "  staff     staff@example.com / staff-demo-1",
            f"  API key   {key}",
            f"  logs      {folder / 'logs'}",
            "",
        )
    )


@contextmanager
def _state_or_temporary(state_dir: Path | None) -> Iterator[Path]:
    if state_dir is not None:
        yield state_dir
        return
    with tempfile.TemporaryDirectory(prefix="shop-") as folder:
        yield Path(folder)


if __name__ == "__main__":
    sys.exit(main())
