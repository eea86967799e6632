"""A door to the broker that says, while it is told to, that the cluster has no broker: as one does that just starts.

Clients are kept at the door: every answer names the door where the broker names itself.
"""

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread

from tests.wire import callers, send_away

METADATA = 3
# From this version on, lengths are varints and every structure ends with tags.
FLEXIBLE = 9
# How long a list is, written as one more.
_NOTHING = b"\x01"


class Door:
    """Passes on what clients and broker say to each other, but for the list of brokers."""

    def __init__(self, *, broker: str) -> None:
        host, _, port = broker.rpartition(":")
        self._broker = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self._place: tuple[str, int] = self._listener.getsockname()
        self.address = f"127.0.0.1:{self._place[1]}"
        self.knows_no_broker = False
        # How often somebody was told so.
        self.denials = 0
        Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Let nobody in any more, and cut all connections."""
        send_away(self._listener)
        self.cut()

    def cut(self) -> None:
        """End every connection, as a broker that dies."""
        for one in self._sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self._sockets.clear()

    def _accept(self) -> None:
        for client in callers(self._listener):
            broker = socket.create_connection(self._broker)
            self._sockets += [client, broker]
            asked: dict[int, int] = {}
            Thread(target=self._pass_on, args=[client, broker, asked], daemon=True).start()
            Thread(target=self._answer, args=[broker, client, asked], daemon=True).start()

    def _pass_on(self, client: socket.socket, broker: socket.socket, asked: dict[int, int]) -> None:
        """Pass requests on; note the version of those about the cluster by their correlation ids."""
        for frame in _frames(client):
            api, version, correlation = struct.unpack_from(">hhi", frame)
            if api == METADATA:
                asked[correlation] = version
            _send(broker, frame)

    def _answer(self, broker: socket.socket, client: socket.socket, asked: dict[int, int]) -> None:
        for frame in _frames(broker):
            (correlation,) = struct.unpack_from(">i", frame)
            version = asked.pop(correlation, None)
            if version is not None and self.knows_no_broker:
                assert version >= FLEXIBLE, version
                self.denials += 1
                _send(client, _without_brokers(frame))
            else:
                _send(client, frame.replace(_place(self._broker), _place(self._place)))


def _place(address: tuple[str, int]) -> bytes:
    """Return an address as answers about brokers and coordinators write it."""
    host, port = address
    return host.encode() + struct.pack(">i", port)


def _without_brokers(frame: bytes) -> bytes:
    """Return an answer about the cluster (correlation id, tags, throttle time, brokers, the rest) without any."""
    begin = 4 + 1 + 4
    return frame[:begin] + _NOTHING + frame[_after_brokers(frame, begin) :]


def _after_brokers(frame: bytes, begin: int) -> int:
    count, at = frame[begin] - 1, begin + 1
    for _ in range(count):
        at += 4
        at += frame[at]  # the host: its length plus one, and as many bytes less one
        at += 4
        at += max(frame[at], 1)  # the rack, which may be absent
        assert frame[at] == 0, "no tags"
        at += 1
    return at


def _frames(source: socket.socket) -> Iterator[bytes]:
    """Yield what comes, without its length, until nobody sends any more; then hang up."""
    # The last one may be cut short: it is left out.
    with suppress(OSError), source, source.makefile("rb") as stream:
        while len(size := stream.read(4)) == 4:
            (length,) = struct.unpack(">i", size)
            if len(frame := stream.read(length)) < length:
                return
            yield frame


def _send(target: socket.socket, frame: bytes) -> None:
    with suppress(OSError):
        target.sendall(struct.pack(">i", len(frame)) + frame)


@contextmanager
def door(*, broker: str) -> Iterator[Door]:
    """Open a door to a broker."""
    opened = Door(broker=broker)
    try:
        yield opened
    finally:
        opened.close()
