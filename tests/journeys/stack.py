"""A whole stack, started as a user starts it, and every way of looking at it from outside."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
import psycopg
from django.test import override_settings
from prometheus_client.parser import text_string_to_metric_families

from integrations.demo.frontend import Frontend
from integrations.embedded import ports
from integrations.embedded.child import PROJECT_ROOT
from integrations.embedded.state import running_environment
from integrations.kafka.client import Received, read_back
from integrations.sandbox_gateway.config import DEMO_API_SECRET
from tests.clients import FreshConnections
from tests.journeys.waiting import eventually
from tests.services import RUN_HAS_EMBEDDED_KAFKA

# All of them longer than a busy machine takes.
START_SECONDS = 300.0
STOP_SECONDS = 120.0
CALL_SECONDS = 60.0
COMMAND_SECONDS = 180.0
TAIL_LINES = 40
# What the test run has set for itself must not reach the stack, which starts servers of its own.
_OURS = {"DATABASE_URL", "REDIS_URL", "SHOP_STATE_DIR", "DJANGO_SETTINGS_MODULE"}
# A Kafka that was given is the stack's, too: `make test-kafka`.
if RUN_HAS_EMBEDDED_KAFKA in os.environ:
    _OURS |= {RUN_HAS_EMBEDDED_KAFKA, "KAFKA_BOOTSTRAP_SERVERS"}

Shown = dict[str, Any]

# The deadline passes, and whoever was at work on the attempt has been gone for a while.
_PASSED = """
WITH orders AS (
    UPDATE orders_order SET payment_deadline = now() - interval '1 second' WHERE id = %s::uuid
), payable AS (
    UPDATE payments_payable SET deadline = now() - interval '1 second' WHERE order_id = %s::uuid
)
UPDATE payments_attempt SET expires_at = now() - interval '1 second', moved_at = now() - interval '1 hour'
WHERE order_id = %s::uuid RETURNING id
"""


class Stack:
    """All processes of the shop in a folder of their own, on ports of their own."""

    def __init__(self, **settings: str) -> None:
        """Describe a stack whose environment has these `settings`; entering it starts it."""
        # Not pytest's tmp_path: that is too long for a socket, and closed to the user PostgreSQL runs as under root.
        self.folder = Path(tempfile.mkdtemp(prefix="shop-j-"))
        self.folder.chmod(0o711)
        self.state_dir = self.folder / "state"
        self.web_port, self.gateway_port = ports.any_free(), ports.any_free()
        # Two stacks that start at once would both find 9101 free.
        figures = {f"{name}_METRICS_PORT": str(ports.any_free()) for name in ("RELAY", "CONSUMERS", "WORKER")}
        self.web_url = f"http://127.0.0.1:{self.web_port}"
        self.gateway_url = f"http://127.0.0.1:{self.gateway_port}"
        self.http = FreshConnections(seconds=CALL_SECONDS)
        self._output = self.folder / "output"
        self._settings = {**figures, **settings}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start it and return once everything is up."""
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "integrations.embedded", "run", "--quiet"],
                cwd=PROJECT_ROOT,
                env=self._environment(),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            eventually("the stack to be ready", lambda: self._runs() and "ready in" in self.said, seconds=START_SECONDS)
        except BaseException as error:
            error.add_note(self.tails())
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it as Ctrl-C does."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(STOP_SECONDS)
            finally:
                # A supervisor that is killed takes all of its processes along.
                self._process.kill()
                self._process.wait()
        self.http.clear()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def said(self) -> str:
        """What the supervisor has printed."""
        return self._output.read_text()

    @property
    def pid(self) -> int:
        """The supervisor's."""
        assert self._process is not None
        return self._process.pid

    @property
    def addresses(self) -> dict[str, str]:
        """Where its servers are at present."""
        return running_environment(self.state_dir) or {}

    @property
    def api_key(self) -> str:
        """The internal API key the seed has issued."""
        return (self.state_dir / "internal-api-key").read_text().strip()

    def tails(self) -> str:
        """Return the ends of all logs, for whoever has to find out what went wrong."""
        logs = [self._output, *sorted((self.state_dir / "logs").glob("*.log"))]
        return "\n".join(f"--- {log.name}\n{_tail(log)}" for log in logs if log.exists())

    def rows(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Ask the stack's database."""
        with psycopg.connect(self.addresses["DATABASE_URL"], autocommit=True) as connection:
            return connection.execute(sql, parameters or None).fetchall()

    def one(self, sql: str, *parameters: object) -> Any:
        """Return the single value the query has."""
        ((value,),) = self.rows(sql, *parameters)
        return value

    def deadline_passes(self, order: Shown) -> None:
        """Let the order's payment window end now."""
        self.rows(_PASSED, *[order["id"]] * 3)

    def manage(self, *arguments: str) -> str:
        """Run a management command as an operator in a second terminal does, and return what it prints."""
        done = self.attempt(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def attempt(self, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run a management command whose exit status says something, with `settings` that differ from the stack's."""
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=PROJECT_ROOT,
            env=self._environment() | settings,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )

    def events(self, *, key: str, topics: Sequence[str]) -> list[Received]:
        """Read back from the broker what has this key, topic by topic, once the relay has sent all there is."""
        left = "SELECT count(*) FROM outbox_pending WHERE key = %s::uuid"
        eventually(f"the events of {key} to be relayed", lambda: self.one(left, key) == 0)
        with override_settings(KAFKA_BOOTSTRAP_SERVERS=self.addresses["KAFKA_BOOTSTRAP_SERVERS"]):
            found = [record for record in read_back(topics=topics) if record.key.decode() == key]
        return sorted(found, key=lambda record: (topics.index(record.topic), record.offset))

    def mails(self, order_number: str) -> list[EmailMessage]:
        """Return the mails about an order, oldest first."""
        found = []
        for path in sorted((self.state_dir / "mails").glob("*.eml"), key=lambda path: path.stat().st_mtime_ns):
            mail = message_from_bytes(path.read_bytes(), policy=policy.default)
            if order_number in str(mail["Subject"]):
                found.append(mail)
        return found

    def metric(self, metric: str, /, *, of: str = "web", **labels: str) -> float:
        """Return the sum of a metric's samples that have these labels: `of` is web, relay, consumers or worker."""
        port = self.addresses["WEB_PORT" if of == "web" else f"{of.upper()}_METRICS_PORT"]
        text = self.http.request("GET", f"http://127.0.0.1:{port}/metrics").data.decode()
        samples = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
        return sum(
            sample.value for sample in samples if sample.name == metric and labels.items() <= sample.labels.items()
        )

    def gateway(self, method: str, path: str, body: Any = None) -> Shown:
        """Call the sandbox gateway's own API."""
        secret = self._settings.get("SANDBOX_GATEWAY_SECRET", DEMO_API_SECRET)
        asker = Frontend(self.gateway_url, token=secret, http=self.http)
        answer = asker.ask(method, path, body)
        assert answer.status < 300, answer
        shown: Shown = answer.body
        return shown

    def sessions(self, order_number: str) -> list[Shown]:
        """Return the gateway's sessions for an order, oldest first."""
        found: list[Shown] = []
        page = self.gateway("GET", "/v1/sessions?limit=100&created_after=2000-01-01T00:00:00Z")
        while True:
            found += [session for session in page["data"] if session["reference"].startswith(order_number)]
            if page["next"] is None:
                return found
            page = self.gateway("GET", f"/v1/sessions?limit=100&cursor={page['next']}")

    @contextmanager
    def faults(self, **switches: object) -> Iterator[None]:
        """Make the gateway unpleasant for the length of a block."""
        self.gateway("PUT", "/v1/faults", switches)
        try:
            yield
        finally:
            self.gateway("DELETE", "/v1/faults")

    def internal(self, path: str, *, headers: Mapping[str, str]) -> tuple[int, Any]:
        """Ask as another system of the house does; return status and body."""
        answer = self.http.request("GET", self.web_url + path, headers=dict(headers))
        return answer.status, msgspec.json.decode(answer.data)

    def _environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if name not in _OURS}
        return {
            **inherited,
            **self._settings,
            "SHOP_STATE_DIR": str(self.state_dir),
            "WEB_PORT": str(self.web_port),
            "GATEWAY_PORT": str(self.gateway_port),
        }

    def _runs(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"The supervisor ended with status {self._process.returncode}."
        return True


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-TAIL_LINES:])
