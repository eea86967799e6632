"""What both stand-ins are made of: an HTTP server, idempotency keys, and the ways to be a bad provider."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

NOT_FOUND = 404


@dataclass(frozen=True)
class Asked:
    """A call as it came in."""

    method: str
    path: str
    query: dict[str, str]
    body: bytes
    headers: dict[str, str]

    @property
    def key(self) -> str:
        return self.headers.get("idempotency-key", "")


@dataclass
class Told:
    """An answer: a status and JSON, or bytes as they are."""

    status: int
    body: Any
    headers: dict[str, str] = field(default_factory=dict)


class Refusal(Exception):
    """The provider says no, with this answer."""

    def __init__(self, told: Told) -> None:
        super().__init__(told.status)
        self.told = told


class Server:
    """Answers what `answer` says; each call is handled alone, so that state needs no locks of its own."""

    def __init__(self, *, authorization: str) -> None:
        self.authorization = authorization
        self.asked: list[Asked] = []
        self._failures: list[Told] = []
        self._late_seconds = 0.0
        self._enough = threading.Event()
        self._lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                parts = urlsplit(self.path)
                query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
                headers = {name.lower(): value for name, value in self.headers.items()}
                told = server.take(Asked(self.command, parts.path, query, body, headers))
                content = told.body if isinstance(told.body, bytes) else msgspec.json.encode(told.body)
                self.send_response(told.status)
                for name, value in {"content-type": "application/json", **told.headers}.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def do_POST(self) -> None:
                self.do_GET()

            def do_DELETE(self) -> None:
                self.do_GET()

            def log_message(self, *_: Any) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def fail(self, *failures: Told) -> None:
        """Answer the next calls so, and do nothing."""
        self._failures.extend(failures)

    def answer_late_once(self, *, seconds: float) -> None:
        """Do what the next POST asks, and keep the answer back for so long."""
        self._late_seconds = seconds

    def take(self, asked: Asked) -> Told:
        late = 0.0
        with self._lock:
            self.asked.append(asked)
            if self._failures:
                return self._failures.pop(0)
            if asked.method == "POST":
                late, self._late_seconds = self._late_seconds, 0.0
            try:
                told = self._let_in(asked)
            except Refusal as refusal:
                told = refusal.told
        if late:
            self._enough.wait(late)
        return told

    def _let_in(self, asked: Asked) -> Told:
        if asked.headers.get("authorization") != self.authorization:
            return self.unauthorized()
        return self.answer(asked)

    def unauthorized(self) -> Told:
        raise NotImplementedError

    def answer(self, asked: Asked) -> Told:
        raise NotImplementedError

    def close(self) -> None:
        self._enough.set()
        self._http.shutdown()
        self._http.server_close()


Route = tuple[str, str, Callable[..., Told]]


def routed(routes: list[Route], asked: Asked) -> tuple[Callable[..., Told], list[str]] | None:
    """Return the handler of a call and the ids its path names; `*` in a pattern is one id."""
    given = asked.path.strip("/").split("/")
    for method, pattern, handler in routes:
        wanted = pattern.strip("/").split("/")
        if method != asked.method or len(wanted) != len(given):
            continue
        if all(part in {"*", name} for part, name in zip(wanted, given, strict=True)):
            return handler, [name for part, name in zip(wanted, given, strict=True) if part == "*"]
    return None
