"""The real gateway process, and a shop that does nothing but take callbacks."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
import urllib3
from standardwebhooks import Webhook

from integrations.embedded.ports import any_free
from tests.clients import FreshConnections

ROOT = Path(__file__).resolve().parents[3]
SECRET = "sk-of-the-tests"
WEBHOOK_SECRET = "whsec_" + "dGVzdHMtb2YtdGhlLXNhbmRib3gtZ2F0ZXdheS0wMDE="
RETURN_URL = "https://shop.example/back?payment_id=1&x=%2F"
PAYS = "4242 4242 4242 4242"
DECLINED = "4000 0000 0000 0002"
NO_FUNDS = "4000 0000 0000 9995"
PROCESSING = "4000 0000 0000 3220"
# How long a session lives that a test sees expire: the first on a machine that has time for it.
BRIEF_SECONDS = (0.3, 1.0, 3.0, 10.0)


# Longer than the gateway's first pauses between two attempts, 1 s and 5 s and 30 s, and than a busy machine takes.
PATIENCE_SECONDS = 60.0


def eventually(look: Callable[[], Any], *, within: float = PATIENCE_SECONDS) -> Any:
    """Return what `look` finds as soon as it is true; fail at the deadline."""
    deadline = time.monotonic() + within
    while not (found := look()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
    return found


@dataclass
class Delivery:
    """One callback as it came in, its signature verified."""

    event: dict[str, Any]
    headers: dict[str, str]
    at: float


class Receiver:
    """Take callbacks, verify them with the library that shops use, and answer as told."""

    def __init__(self) -> None:
        self.deliveries: list[Delivery] = []
        self.unverified: list[str] = []
        self.answer: Callable[[dict[str, Any]], int] = lambda _event: 200
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                status = receiver.take(path=self.path, body=body, headers=dict(self.headers.items()))
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/payment-callback/sandbox"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def take(self, *, path: str, body: bytes, headers: dict[str, str]) -> int:
        try:
            event = Webhook(WEBHOOK_SECRET).verify(body, headers)
        except Exception as error:  # noqa: BLE001  whatever it is, a test reads it
            self.unverified.append(f"{path} {error!r}")
            return 400
        self.deliveries.append(Delivery(event=event, headers=headers, at=time.monotonic()))
        return self.answer(event)

    def of(self, object_id: str) -> list[Delivery]:
        """Return the deliveries about a session (or its refunds, or one refund), in the order of what they tell.

        They may come in another: a slow receiver, or a machine that stands still, lets a later one overtake.
        """
        about_it = [
            delivery
            for delivery in list(self.deliveries)
            if object_id in {delivery.event["data"]["id"], delivery.event["data"].get("session_id")}
        ]
        return sorted(about_it, key=lambda delivery: delivery.event["created_at"])

    def types(self, object_id: str) -> list[str]:
        return [delivery.event["type"] for delivery in self.of(object_id)]

    def wait_for(self, object_id: str, *types: str) -> list[Delivery]:
        """Return the deliveries about an object once exactly these types have come, telling of them in this order."""
        eventually(lambda: len(self.of(object_id)) >= len(types))
        assert self.types(object_id) == list(types)
        return self.of(object_id)

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@dataclass
class Answer:
    """An answer of the gateway."""

    status: int
    content: bytes
    headers: urllib3.HTTPHeaderDict

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.content)

    @property
    def text(self) -> str:
        return self.content.decode()

    @property
    def error(self) -> str:
        return str(self.json["error"]["code"])


class Gateway:
    """The process, started and killed for real."""

    def __init__(self, *, folder: Path, callback_url: str) -> None:
        self.folder = folder
        self.port = any_free()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "gateway.log"
        self.ready = folder / "ready"
        self.http = FreshConnections(seconds=PATIENCE_SECONDS)
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("SANDBOX_", "DJANGO_"))},
            "SHOP_STATE_DIR": str(folder / "state"),
            "SHOP_READY_FILE": str(self.ready),
            "SANDBOX_GATEWAY_SECRET": SECRET,
            # The second one is being rotated out: only the first signs.
            "SANDBOX_WEBHOOK_SECRET": f"{WEBHOOK_SECRET} whsec_b2xkLW9sZC1vbGQtb2xkLW9sZC1vbGQtb2xkLTAwMDE=",
            "SANDBOX_CALLBACK_URL": callback_url,
            # Longer than a busy machine takes to look at what is under way.
            "SANDBOX_PROCESSING_SECONDS": "10",
            "SANDBOX_MERCHANT": "Tea & Sons",
        }
        self.process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        return [sys.executable, "-m", "integrations.sandbox_gateway", "--port", str(self.port)]

    def start(self) -> None:
        self.ready.unlink(missing_ok=True)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command(), cwd=ROOT, env=self.environment, stderr=log, stdout=log)
        eventually(self.ready.exists)

    def worker(self) -> int:
        """Return the process id of the worker, the one child of the main process."""
        assert self.process is not None
        [worker] = [pid for pid, parent in parents().items() if parent == self.process.pid]
        return worker

    def kill(self) -> None:
        """End both processes at once, as a power cut to them would."""
        worker = self.worker()
        self.kill_main()
        # It ends by itself once it notices.
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker, signal.SIGKILL)
        # Who starts next waits only a moment for the port and the store.
        eventually(lambda: is_gone(worker))

    def kill_main(self) -> None:
        """End the main process alone, at once; its worker has to notice."""
        assert self.process is not None
        self.process.kill()
        self._reap()

    def stop(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        self._reap()
        self.http.clear()

    def _reap(self) -> None:
        assert self.process is not None
        self.process.wait(PATIENCE_SECONDS)

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = None,
        timeout: float = PATIENCE_SECONDS,
        **headers: str,
    ) -> Answer:
        """Call the API as the merchant; a body of bytes goes out as it is."""
        sent = {"authorization": f"Bearer {SECRET}", **headers}
        if key is not None:
            sent["idempotency-key"] = key
        content = body if isinstance(body, bytes | None) else msgspec.json.encode(body)
        answer = self.http.request(method, self.url + path, body=content, headers=sent, timeout=timeout)
        if answer.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            # A server ends the connection whose body it would not read, a moment after its answer.
            self.http.clear()
        return Answer(answer.status, answer.data, answer.headers)

    def page(self, session_id: str, *, language: str = "en") -> Answer:
        answer = self.http.request("GET", f"{self.url}/pay/{session_id}", headers={"accept-language": language})
        return Answer(answer.status, answer.data, answer.headers)

    def pay(self, session_id: str, number: str = PAYS, expiry: str = "12/34", cvc: str = "123") -> Answer:
        body = urlencode({"card_number": number, "expiry": expiry, "cvc": cvc})
        headers = {"content-type": "application/x-www-form-urlencoded"}
        url = f"{self.url}/pay/{session_id}"
        answer = self.http.request("POST", url, body=body, headers=headers, redirect=False)
        return Answer(answer.status, answer.data, answer.headers)

    def cancel(self, session_id: str) -> Answer:
        answer = self.http.request("GET", f"{self.url}/pay/{session_id}/cancel", redirect=False)
        return Answer(answer.status, answer.data, answer.headers)

    def session(self, *, key: str | None = None, **fields: Any) -> str:
        """Make a session and return its id."""
        answer = self.call("POST", "/v1/sessions", new_session(**fields), key=key)
        assert answer.status == 201, answer.text
        return str(answer.json["id"])

    def brief_session(self, *, key: str | None = None) -> tuple[str, dict[str, Any]]:
        """Make a session that expires as soon as this machine allows; return its id and what was asked for."""
        for seconds in BRIEF_SECONDS:
            body = new_session(expires_at=soon(seconds))
            answer = self.call("POST", "/v1/sessions", body, key=key)
            # One that would be expired when it arrives is refused, and made nothing.
            if answer.json.get("param") != "expires_at":
                break
        assert answer.status == 201, answer.text
        return str(answer.json["id"]), body

    def paid_session(self, **fields: Any) -> str:
        session_id = self.session(**fields)
        assert self.pay(session_id).status == 303
        return session_id

    def fetch(self, session_id: str) -> dict[str, Any]:
        session: dict[str, Any] = self.call("GET", f"/v1/sessions/{session_id}").json
        return session

    def faults(self, **switches: Any) -> None:
        answer = self.call("PUT", "/v1/faults", switches)
        assert answer.status == 200, answer.text


def new_session(**fields: Any) -> dict[str, Any]:
    return {"amount": 1000, "currency": "EUR", "reference": "order-1", "return_url": RETURN_URL} | fields


def soon(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def in_parallel(work: Callable[[], Answer], *, times: int) -> list[Answer]:
    with ThreadPoolExecutor(times) as pool:
        return [future.result() for future in [pool.submit(work) for _ in range(times)]]


def parents() -> dict[int, int]:
    """Return the parent's process id of every process, by its own."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # The name in brackets may hold anything; the state and the parent follow it.
            found[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    return found


def is_gone(pid: int) -> bool:
    """Say whether a process has ended, though nobody may have asked for its exit status yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def attributes(html: str, tag: str, name: str) -> str:
    """Return the text of the element of this tag with this name, up to its closing bracket."""
    found = re.search(rf'<{tag}[^>]*name="{name}"[^>]*>', html)
    assert found, f"no {tag} named {name}"
    return found[0]
