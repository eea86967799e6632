"""The stack the demo talks to: the one that runs, or one started for the occasion."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import urllib3

from integrations.demo.screen import wait_for
from integrations.embedded.state import PROJECT_ROOT, running_environment

START_SECONDS = 90.0
STOP_SECONDS = 40.0


class StackDied(Exception):
    """The stack started for the demo ended before it was ready."""


@contextmanager
def running_stack() -> Iterator[Mapping[str, str]]:
    """Yield the addresses of the running stack; start one first, and stop it afterwards, when none runs."""
    running = _ready()
    if running is not None:
        yield running
        return
    command = [sys.executable, "-m", "integrations.embedded", "run", "--quiet"]
    # A session of its own: Ctrl-C reaches the demo, and the demo stops the stack in its own time.
    stack = subprocess.Popen(  # noqa: S603  our own program
        command, cwd=PROJECT_ROOT, start_new_session=True, stdout=subprocess.DEVNULL
    )
    try:
        environment, seconds = wait_for("a stack of our own", lambda: _ready_or_dead(stack), seconds=START_SECONDS)
        print(f"No stack was running; started one in {seconds:.1f} s.", flush=True)
        yield environment
    finally:
        stack.send_signal(signal.SIGINT)
        stack.wait(STOP_SECONDS)


def _ready_or_dead(stack: "subprocess.Popen[bytes]") -> Mapping[str, str] | None:
    if stack.poll() is not None:
        raise StackDied("The stack could not be started; what it said stands above.")
    return _ready()


def _ready() -> Mapping[str, str] | None:
    """Return the addresses of a stack whose web and gateway answer."""
    environment = running_environment()
    if environment is None or "WEB_PORT" not in environment:
        return None
    probes = [("WEB_PORT", "readyz"), ("GATEWAY_PORT", "healthz")]
    try:
        answers = [
            urllib3.request("GET", f"http://127.0.0.1:{environment[port]}/{path}", retries=False, timeout=2.0).status
            for port, path in probes
        ]
    except urllib3.exceptions.HTTPError:
        return None
    return environment if answers == [200, 200] else None


def require_environment(environment: Mapping[str, str]) -> None:
    """Let this process's settings find the stack."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings.dev")
    os.environ.update(environment)
