"""How gateways are called, against a server that answers as a test has written down."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from pytest_django import Settings

from integrations.gateways.http import Answer, Call, GatewayHttp
from payments.ports import GatewayUnavailable
from tests.integrations.sandbox_gateway.harness import eventually

Reply = Callable[[BaseHTTPRequestHandler], None]


def json_reply(status: int, body: bytes = b"{}") -> Reply:
    def reply(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        request.send_header("content-length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    return reply


def drip(request: BaseHTTPRequestHandler) -> None:
    """Answer byte by byte, each in time, and never come to an end."""
    request.send_response(200)
    request.send_header("content-length", "1000000")
    request.end_headers()
    with suppress(OSError):
        while True:
            request.wfile.write(b" ")
            time.sleep(0.02)


def cut_short(request: BaseHTTPRequestHandler) -> None:
    """Hang up in the middle of what would be JSON by itself."""
    request.send_response(200)
    request.send_header("content-length", "100")
    request.end_headers()
    request.wfile.write(b"{}")
    request.close_connection = True


def hang_up(request: BaseHTTPRequestHandler) -> None:
    request.connection.shutdown(socket.SHUT_RDWR)
    request.close_connection = True


class Script:
    """A server that gives one reply after the other, and remembers the keys it was asked under."""

    def __init__(self) -> None:
        self.replies: list[Reply] = []
        self.keys: list[str | None] = []
        self.enough = threading.Event()
        script = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                script.keys.append(self.headers["idempotency-key"])
                self.rfile.read(int(self.headers["content-length"] or 0))
                script.replies.pop(0)(self)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def hang(self, _request: BaseHTTPRequestHandler) -> None:
        self.enough.wait(60)

    def close(self) -> None:
        self.enough.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def script() -> Iterator[Script]:
    script = Script()
    yield script
    script.close()


@pytest.fixture
def http(script: Script, settings: Settings) -> GatewayHttp:
    settings.GATEWAY_READ_TIMEOUT_SECONDS = 30.0
    return GatewayHttp(url=script.url, secret="secret")


@pytest.fixture
def impatient(script: Script, settings: Settings) -> GatewayHttp:
    settings.GATEWAY_CONNECT_TIMEOUT_SECONDS = 0.3
    settings.GATEWAY_READ_TIMEOUT_SECONDS = 0.2
    return GatewayHttp(url=script.url, secret="secret")


POST = Call(method="POST", path="/v1/sessions", body={"amount": 1}, key="attempt-1")


@pytest.mark.parametrize("status", [200, 201, 400, 404, 409, 422])
def test_an_answer_is_an_answer(status: int, http: GatewayHttp, script: Script) -> None:
    script.replies = [json_reply(status, b'{"id": 1}')]

    assert http.send(POST) == Answer(status, {"id": 1})
    assert script.keys == ["attempt-1"]


@pytest.mark.parametrize(
    "trouble",
    [
        json_reply(500),
        json_reply(503),
        json_reply(429),
        json_reply(200, b"<html>"),
        json_reply(200, b"[" * 10_000),
        cut_short,
        hang_up,
    ],
)
def test_trouble_is_repeated_twice_under_the_same_key(trouble: Reply, http: GatewayHttp, script: Script) -> None:
    script.replies = [trouble, trouble, json_reply(201, b'{"id": 1}')]

    assert http.send(POST) == Answer(201, {"id": 1})
    assert script.keys == ["attempt-1"] * 3


@pytest.mark.parametrize("trouble", [json_reply(500), hang_up])
def test_more_trouble_is_a_gateway_that_is_down(trouble: Reply, http: GatewayHttp, script: Script) -> None:
    script.replies = [trouble] * 4

    with pytest.raises(GatewayUnavailable):
        http.send(POST)

    assert len(script.keys) == 3


@pytest.mark.parametrize("late", [Script.hang, lambda _, request: drip(request)], ids=["hangs", "drips"])
def test_an_answer_that_does_not_come_is_waited_for_once(
    late: Callable[[Script, BaseHTTPRequestHandler], None], impatient: GatewayHttp, script: Script
) -> None:
    script.replies = [partial(late, script), json_reply(200)]

    with pytest.raises(GatewayUnavailable, match="no answer in time"):
        impatient.send(POST)

    # The server may hear of a call only after its caller has given up.
    eventually(lambda: script.keys)
    assert len(script.keys) == 1


def test_a_redirect_is_not_followed(http: GatewayHttp, script: Script) -> None:
    def elsewhere(request: BaseHTTPRequestHandler) -> None:
        request.send_response(302)
        request.send_header("location", "http://127.0.0.1:1/steal")
        request.send_header("content-length", "2")
        request.end_headers()
        request.wfile.write(b"{}")

    script.replies = [elsewhere]

    assert http.send(POST).status == 302


def test_nobody_listening_is_a_gateway_that_is_down() -> None:
    # Who only binds a port does not listen, and keeps everybody else from doing so.
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))

        with pytest.raises(GatewayUnavailable):
            GatewayHttp(url=f"http://127.0.0.1:{taken.getsockname()[1]}", secret="secret").send(POST)
