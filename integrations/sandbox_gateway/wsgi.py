"""Requests and answers over WSGI, as little as this process needs."""

from datetime import datetime
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import parse_qs
from wsgiref.types import StartResponse, WSGIEnvironment

from .errors import BodyTooLarge, InvalidRequest

REASONS = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}


class Response(NamedTuple):
    """An answer: a status, headers and a body."""

    status: int
    headers: tuple[tuple[str, str], ...]
    content: bytes

    def send(self, *, start_response: StartResponse) -> list[bytes]:
        """Hand the answer to the server."""
        start_response(REASONS[self.status], [*self.headers, ("content-length", str(len(self.content)))])
        return [self.content]


class Request:
    """A call: its method and path, when it came in, and the id that the path names."""

    __slots__ = ("environ", "method", "now", "object_id", "path", "query")

    def __init__(self, *, environ: WSGIEnvironment, now: datetime) -> None:
        """Read the request line; the body is read when asked for."""
        self.environ = environ
        self.method: str = environ["REQUEST_METHOD"]
        self.path: str = environ.get("PATH_INFO", "")
        self.query: str = environ.get("QUERY_STRING", "")
        self.object_id = ""
        self.now = now

    def header(self, name: str) -> str:
        """Return a header by its lower-case name, or nothing."""
        value: str = self.environ.get(f"HTTP_{name.upper().replace('-', '_')}", "")
        return value

    def body(self, *, limit: int) -> bytes:
        """Return the whole body; raises BodyTooLarge over `limit` bytes."""
        length = self.environ.get("CONTENT_LENGTH") or "0"
        if length.isdigit() and int(length[:12]) > limit:
            raise BodyTooLarge(f"The body may have {limit} bytes.")
        content: bytes = self.environ["wsgi.input"].read(limit + 1)
        if len(content) > limit:
            raise BodyTooLarge(f"The body may have {limit} bytes.")
        return content

    def form(self, *, limit: int) -> dict[str, str]:
        """Return the fields of an urlencoded body; raises BodyTooLarge, InvalidRequest."""
        try:
            fields = parse_qs(self.body(limit=limit).decode("utf-8"), keep_blank_values=True, max_num_fields=20)
        except ValueError as error:
            raise InvalidRequest("The form could not be read.") from error
        return {name: values[0] for name, values in fields.items()}
