"""A body is taken in before anybody answers; one that comes in chunks, without a length, is the same body."""

from io import BytesIO
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest

from shop.kernel.http.bodies import taken_in

LIMIT = 10


def served(environ: dict[str, Any]) -> WSGIEnvironment:
    """Return the environment the application behind was given."""
    seen: list[WSGIEnvironment] = []

    def application(given: WSGIEnvironment, _start_response: StartResponse) -> list[bytes]:
        seen.append(given)
        return [b"answer"]

    answer = taken_in(application, longest=LIMIT)(environ, lambda *_: lambda _: None)

    assert list(answer) == [b"answer"]
    return seen[0]


@pytest.mark.parametrize(
    "announced",
    [
        {"HTTP_TRANSFER_ENCODING": "chunked"},
        {"HTTP_TRANSFER_ENCODING": "gzip, Chunked"},
        # With both the chunks count (RFC 9112, section 6.3).
        {"HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": "2"},
    ],
)
def test_chunks_get_the_length_they_have(announced: dict[str, str]) -> None:
    seen = served({**announced, "wsgi.input": BytesIO(b'{"a":1}')})

    assert seen["CONTENT_LENGTH"] == "7"
    assert seen["wsgi.input"].read() == b'{"a":1}'


def test_too_many_chunks_are_read_so_far_that_they_are_seen_to_be_too_many() -> None:
    seen = served({"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input": BytesIO(b"x" * 1_000)})

    assert seen["CONTENT_LENGTH"] == str(LIMIT + 1)


def test_a_body_with_a_length_is_taken_in_and_keeps_it() -> None:
    body = BytesIO(b"{}")

    seen = served({"CONTENT_LENGTH": "2", "wsgi.input": body})

    assert (body.tell(), seen["CONTENT_LENGTH"], seen["wsgi.input"].read()) == (2, "2", b"{}")


def test_a_body_that_is_too_long_keeps_the_length_it_was_announced_with() -> None:
    seen = served({"CONTENT_LENGTH": "1000", "wsgi.input": BytesIO(b"x" * 1_000)})

    assert (seen["CONTENT_LENGTH"], len(seen["wsgi.input"].read())) == ("1000", LIMIT + 1)


@pytest.mark.parametrize("announced", [{}, {"CONTENT_LENGTH": ""}, {"CONTENT_LENGTH": "0"}])
def test_nothing_is_waited_for_when_nothing_is_announced(announced: dict[str, str]) -> None:
    body = BytesIO(b"not for us")

    served({**announced, "wsgi.input": body})

    assert body.tell() == 0
