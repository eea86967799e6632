"""Run the gateway: `python -m integrations.sandbox_gateway --port 8001`."""

import argparse
import fcntl
import os
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, TypeVar

from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels

from .config import BadConfiguration, Config, read_config

T = TypeVar("T")
# A thread that holds an answer back on purpose costs nothing but itself; the others must go on.
THREADS = 64
THREAD_IDLE_SECONDS = 30
STOP_SECONDS = 3
# A killed predecessor's worker notices within a quarter of a second and lets go of the port and the store.
PATIENCE_SECONDS = 2.0


def main() -> None:
    """Serve until told to stop; end with a sentence when that is impossible."""
    parser = argparse.ArgumentParser(prog="python -m integrations.sandbox_gateway", description=__doc__)
    parser.add_argument("--port", type=int, help="port on 127.0.0.1 (default: GATEWAY_PORT, or 8001)")
    port = parser.parse_args().port
    refuse_production(settings_module=os.environ.get("DJANGO_SETTINGS_MODULE", ""))
    if port is not None:
        os.environ["GATEWAY_PORT"] = str(port)
    try:
        config = read_config(environ=os.environ)
    except BadConfiguration as error:
        sys.exit(f"sandbox gateway: {error}")
    serve(config=config)


def refuse_production(*, settings_module: str) -> None:
    """End the process if the settings named are production's: a provider that gives goods away has no place there."""
    if any(part.startswith("prod") for part in settings_module.lower().split(".")):
        sys.exit(f"sandbox gateway: refuses to run with DJANGO_SETTINGS_MODULE={settings_module}")


def serve(*, config: Config) -> None:
    """Take the store and the port, then serve in one worker process with many threads."""
    lock = wait_for(lambda: lock_folder(folder=config.folder))
    if lock is None:
        sys.exit(f"sandbox gateway: another one already works in {config.folder}")
    if wait_for(lambda: port_is_free(port=config.port) or None) is None:
        sys.exit(f"sandbox gateway: port {config.port} is taken; choose another with GATEWAY_PORT or --port")
    with lock:
        Granian(
            "integrations.sandbox_gateway.app:create_application",
            address="127.0.0.1",
            port=config.port,
            interface=Interfaces.WSGI,
            factory=True,
            workers=1,
            blocking_threads=THREADS,
            blocking_threads_idle_timeout=THREAD_IDLE_SECONDS,
            http=HTTPModes.http1,
            websockets=False,
            workers_kill_timeout=STOP_SECONDS,
            log_access=False,
            # It would warn of the many threads; what matters, such as readiness, is logged by the application.
            log_level=LogLevels.error,
        ).serve()


def wait_for(look: Callable[[], T | None]) -> T | None:
    """Return what `look` finds, looking again for a few seconds; None if it finds nothing."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (found := look()) is None and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def lock_folder(*, folder: Path) -> IO[str] | None:
    """Return the lock file, locked until it is closed by this process and its worker; None if somebody has it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = (folder / "gateway.lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    return lock


def port_is_free(*, port: int) -> bool:
    """Say whether the port can be bound; the server itself would only print a traceback."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


if __name__ == "__main__":
    main()
