"""What only the real web server meets: sizes, chunks, and bytes no client library would send."""

import http.client
import json
import select
import socket

import pytest

from tests.journeys.stack import CALL_SECONDS, Stack

pytestmark = pytest.mark.journey

CALLBACK = b"POST /payment-callback HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"


def raw(stack: Stack, sent: bytes) -> tuple[int, str, bytes]:
    """Send bytes as they are; return status, content type and body."""
    with socket.create_connection(("127.0.0.1", stack.web_port), timeout=CALL_SECONDS) as wire:
        wire.sendall(sent)
        answer = http.client.HTTPResponse(wire)
        answer.begin()
        try:
            return answer.status, answer.headers.get("Content-Type", ""), answer.read()
        finally:
            answer.close()


def refused(stack: Stack, sent: bytes) -> tuple[int, str]:
    status, content_type, body = raw(stack, sent)
    assert content_type == "application/problem+json", body
    return status, json.loads(body)["code"]


def test_a_body_beyond_the_limit_is_refused_however_it_is_sent(stack: Stack) -> None:
    size = 256 * 1024 + 1
    chunked = b"".join(b"4001\r\n" + b" " * 0x4001 + b"\r\n" for _ in range(17)) + b"0\r\n\r\n"

    declared = refused(stack, CALLBACK + b"Content-Length: %d\r\n\r\n" % size + b" " * size)
    in_chunks = refused(stack, CALLBACK + b"Transfer-Encoding: chunked\r\n\r\n" + chunked)
    without = refused(stack, CALLBACK + b"\r\n")

    assert declared == in_chunks == (413, "body_too_large")
    assert without == (400, "invalid_callback")


def test_a_refusal_before_the_body_has_come_leaves_the_connection_usable(stack: Stack) -> None:
    with socket.create_connection(("127.0.0.1", stack.web_port), timeout=CALL_SECONDS) as wire:
        wire.sendall(b"POST /orders HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\n\r\n")
        # An answer over the missing body would come now, and the server would hang up after it.
        select.select([wire], [], [], 0.5)
        wire.sendall(b"{}")
        statuses = []
        for request in (b"", b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"):
            wire.sendall(request)
            answer = http.client.HTTPResponse(wire)
            answer.begin()
            answer.read()
            statuses.append(answer.status)

    assert statuses == [401, 200]


@pytest.mark.parametrize("path", [b"/%", b"/%00", b"/%ff%fe", b"//evil/..", b"/orders/%0d%0aX:1", b"/cart/me?x=%ff"])
def test_an_odd_path_is_a_problem(stack: Stack, path: bytes) -> None:
    status, code = refused(stack, b"GET " + path + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")

    assert (status, code) in {(404, "not_found"), (401, "not_authenticated")}


def test_headers_may_hold_any_bytes(stack: Stack) -> None:
    for header in (b"Authorization: Bearer \xff\xfe", b"X-Request-ID: \xff", b"Idempotency-Key: \xff", b"Cookie: \xff"):
        status, code = refused(stack, b"GET /cart/me HTTP/1.1\r\nHost: 127.0.0.1\r\n" + header + b"\r\n\r\n")
        assert (status, code) in {(401, "not_authenticated"), (401, "token_not_valid")}


def test_a_probe_may_ask_for_the_head_alone(stack: Stack) -> None:
    asked = http.client.HTTPConnection("127.0.0.1", stack.web_port, timeout=CALL_SECONDS)
    asked.request("HEAD", "/healthz")
    answer = asked.getresponse()

    assert (answer.status, answer.read()) == (200, b"")
    asked.close()
