"""One POST to a merchant's system: to an address that was checked, within one time-out, without following anything."""

import os
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException, HTTPResponse

from django.conf import settings

from integrations.webhooks.addresses import IPAddress, Rules, Target, allowed_addresses, parse
from notifications.ports import AddressRefused, Answer, NoAnswer
from shop.kernel.clock import utc_now

_READ_BYTES = 1_024


class Sender:
    """No connection outlives the check of its address: each webhook has its own."""

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls or ssl.create_default_context()

    def check(self, *, url: str) -> None:
        """Return if the shop may call this address now; AddressRefused with the reason otherwise."""
        target = parse(url)
        try:
            allowed_addresses(target, rules=_rules())
        except NoAnswer as error:
            raise AddressRefused(str(error)) from error

    def post(self, *, url: str, headers: Mapping[str, str], body: bytes, timeout_seconds: float) -> Answer:
        """Post and return the answer; AddressRefused, NoAnswer. Proxies of the environment are not asked.

        The name is resolved once, every address is judged, and the connection goes to one of these very addresses:
        a name that leads elsewhere a moment later (DNS rebinding) leads nowhere.
        """
        target = parse(url)
        deadline = time.monotonic() + timeout_seconds
        addresses = allowed_addresses(target, rules=_rules())
        connected = _connect(addresses, target.port, deadline=deadline)
        with _cut_at(deadline, connected) as cut:
            try:
                with self._call(connected, target, {**headers, "Host": target.authority}, body) as response:
                    if cut.is_set():
                        # Headers that were cut off look like headers that end.
                        raise TimeoutError
                    return _answer(response)
            except (OSError, HTTPException, ValueError) as error:
                # The socket's own time-out may be noticed first.
                if cut.is_set() or time.monotonic() >= deadline:
                    raise NoAnswer(f"No answer within {timeout_seconds:g} seconds.") from error
                raise NoAnswer(f"{type(error).__name__}: {error}") from error
            finally:
                connected.close()

    @contextmanager
    def _call(
        self, connected: socket.socket, target: Target, headers: Mapping[str, str], body: bytes
    ) -> Iterator[HTTPResponse]:
        line = connected
        if target.encrypted:
            # The certificate must be the name's, whatever address the name has.
            line = self._tls.wrap_socket(connected, server_hostname=target.host)
        conversation = HTTPConnection(target.host, target.port)
        conversation.sock = line
        try:
            conversation.request("POST", target.target, body=body, headers=dict(headers))
            with conversation.getresponse() as response:
                yield response
        finally:
            conversation.close()


def _rules() -> Rules:
    return Rules(ports=settings.WEBHOOK_PORTS, loopback=settings.WEBHOOK_LOOPBACK_ALLOWED)


def _connect(addresses: Sequence[IPAddress], port: int, *, deadline: float) -> socket.socket:
    """Connect to the first address that takes the call."""
    reason = "no time left"
    for address in addresses:
        if (left := deadline - time.monotonic()) <= 0:
            break
        line = socket.socket(socket.AF_INET6 if address.version == 6 else socket.AF_INET)  # noqa: PLR2004  IPv6
        line.settimeout(left)
        try:
            # A number, never a name: nothing is resolved here.
            line.connect((str(address), port))
        except OSError as error:
            line.close()
            reason = f"{type(error).__name__}: {error}"
        else:
            return line
    raise NoAnswer(f"No connection: {reason}")


@contextmanager
def _cut_at(deadline: float, connected: socket.socket) -> Iterator[threading.Event]:
    """Hang up at the deadline, whatever drips in: a socket's own time-out begins anew with every byte."""
    cut = threading.Event()
    # TLS takes the socket over and leaves an empty one behind; a copy of the descriptor stays the same connection.
    handle = socket.socket(fileno=os.dup(connected.fileno()))

    def hang_up() -> None:
        cut.set()
        with suppress(OSError):
            handle.shutdown(socket.SHUT_RDWR)

    clock = threading.Timer(max(deadline - time.monotonic(), 0), hang_up)
    clock.daemon = True
    clock.start()
    try:
        yield cut
    finally:
        clock.cancel()
        clock.join()
        handle.close()


def _answer(response: HTTPResponse) -> Answer:
    return Answer(
        status=response.status,
        body=_beginning(response, limit=settings.WEBHOOK_ANSWER_KEPT_BYTES),
        retry_after_seconds=_retry_after(response.getheader("Retry-After"), now=utc_now()),
    )


def _beginning(response: HTTPResponse, *, limit: int) -> str:
    """Return what the body begins with. One that breaks off or never ends changes nothing: the status has come."""
    read = b""
    with suppress(OSError, HTTPException, ValueError):
        while len(read) < limit and (more := response.read1(min(_READ_BYTES, limit - len(read)))):
            read += more
    return read.decode("utf-8", errors="replace").replace("\0", "")


def _retry_after(value: str | None, *, now: datetime) -> int | None:
    """Read the header, seconds or a date (RFC 9110, 10.2.3); None for anything else."""
    if value is None:
        return None
    if value.isascii() and value.isdigit() and len(value) < 10:  # noqa: PLR2004  more digits are no time to wait
        return int(value)
    try:
        return max(int((parsedate_to_datetime(value) - now).total_seconds()), 0)
    except (ValueError, TypeError, OverflowError):
        return None
