"""How every gateway is called: kept-alive connections, time-outs, at most two repeats under the same key."""

import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import urllib3
from django.conf import settings
from urllib3.exceptions import HTTPError, ReadTimeoutError

from payments.ports import GatewayUnavailable, patience_seconds

REPEATS = 2
POOL_SIZE = 8
_PAUSE_SECONDS = 0.1
_TOO_MANY_REQUESTS = 429
_SERVER_ERROR = 500
_PART_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Answer:
    """What a gateway answered, below 500."""

    status: int
    body: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request. With `key` a repeat is known as such to the gateway."""

    method: Literal["GET", "POST", "DELETE"]
    path: str
    body: Mapping[str, Any] | None = None
    key: str = ""


def connections() -> urllib3.PoolManager:
    """Return kept-alive connections on which nothing is repeated by itself."""
    return urllib3.PoolManager(maxsize=POOL_SIZE, retries=False)


def exchange(
    pool: urllib3.PoolManager, method: str, url: str, *, body: Any, headers: Mapping[str, str] | None
) -> tuple[int, Mapping[str, str], bytes]:
    """Return the status, headers and body of one call; urllib3's HTTPError when they do not come in time.

    How long it may take depends on who waits. A socket's time-out begins anew with every byte that drips in, so the
    body has a deadline, too.
    """
    connect = patience_seconds(settings.GATEWAY_CONNECT_TIMEOUT_SECONDS)
    read = patience_seconds(settings.GATEWAY_READ_TIMEOUT_SECONDS)
    deadline = time.monotonic() + connect + read
    response = pool.request(
        method,
        url,
        body=body,
        headers=headers,
        timeout=urllib3.Timeout(connect=connect, read=read),
        redirect=False,
        preload_content=False,
    )
    content = bytearray()
    try:
        while part := response.read1(_PART_BYTES):
            content += part
            if time.monotonic() >= deadline:
                response.close()
                raise ReadTimeoutError(pool.connection_from_url(url), url, "No whole answer in time.")
    finally:
        response.release_conn()
    return response.status, response.headers, bytes(content)


class GatewayHttp:
    """A gateway's JSON API at one address, opened with one secret."""

    def __init__(self, *, url: str, secret: str) -> None:
        self._url = url.rstrip("/")
        self._headers = {"authorization": f"Bearer {secret}", "accept": "application/json"}
        self._pool = connections()

    def send(self, call: Call) -> Answer:
        """Return the answer; GatewayUnavailable when there is none, or only server errors, after the repeats.

        A read that timed out is not repeated here: the gateway may be doing it this moment, and whoever waits has
        waited long enough. The row is kept and asked about again by the clock, under the same key.
        """
        began = time.monotonic()
        for repeat in range(REPEATS + 1):
            if repeat:
                if time.monotonic() - began >= patience_seconds(settings.GATEWAY_READ_TIMEOUT_SECONDS):
                    break
                time.sleep(_PAUSE_SECONDS * 2**repeat * random.uniform(0.5, 1.5))  # noqa: S311  no secret
            try:
                return self._once(call)
            except ReadTimeoutError as error:
                raise GatewayUnavailable("no answer in time") from error
            except HTTPError as error:
                reason = type(error).__name__
            except _ServerError as error:
                reason = str(error)
        raise GatewayUnavailable(reason)

    def _once(self, call: Call) -> Answer:
        headers = dict(self._headers)
        if call.key:
            headers["idempotency-key"] = call.key
        body = None
        if call.body is not None:
            headers["content-type"] = "application/json"
            body = msgspec.json.encode(call.body)
        status, _, content = exchange(self._pool, call.method, self._url + call.path, body=body, headers=headers)
        if status >= _SERVER_ERROR or status == _TOO_MANY_REQUESTS:
            raise _ServerError(f"status {status}")
        try:
            return Answer(status, msgspec.json.decode(content))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise _ServerError(f"status {status} without JSON") from None


class _ServerError(Exception):
    """The gateway answered, but with nothing to go by."""
