"""A wire between a client and a server that can fall silent: nothing is refused and nothing ends, nothing arrives."""

import ctypes
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread

_ATTACH_FILTER = 26
# A filter of a socket (BPF) in one instruction: return 0, nothing of any packet comes in. So nobody acknowledges it.
_RETURN, _NOTHING = 0x06, 0


class Wire:
    """Passes on what both sides say, until it falls silent; who connects afterwards is passed on again."""

    def __init__(self, *, server: str | tuple[str, int]) -> None:
        self._server = server
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._heard: list[socket.socket] = []
        self._silent: list[socket.socket] = []
        self._servers: list[socket.socket] = []
        self._carriers: list[Thread] = []
        self.port: int = self._listener.getsockname()[1]
        self._doorman = Thread(target=self._accept, daemon=True)
        self._doorman.start()

    def fall_silent(self) -> None:
        """Lose from now on what is said on the connections there are, as a network that drops packets."""
        for client in self._heard:
            _lose_packets(client)
        self._silent += self._heard
        self._heard.clear()

    def close(self) -> None:
        """End every connection, the silent ones too, and return when nobody is left who works for this wire."""
        send_away(self._listener)
        self._doorman.join()
        ends = self._heard + self._silent + self._servers
        for end in ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for carrier in self._carriers:
            carrier.join()
        for end in ends:
            end.close()

    def _accept(self) -> None:
        for client in callers(self._listener):
            server = self._connect()
            self._heard.append(client)
            self._servers.append(server)
            carriers = [
                Thread(target=_pass_on, args=[client, server], daemon=True),
                Thread(target=self._answer, args=[server, client], daemon=True),
            ]
            self._carriers += carriers
            for carrier in carriers:
                carrier.start()

    def _answer(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while answer := server.recv(65_536):
                if client not in self._silent:
                    client.sendall(answer)
            if client not in self._silent:
                client.shutdown(socket.SHUT_RDWR)

    def _connect(self) -> socket.socket:
        if isinstance(self._server, tuple):
            return socket.create_connection(self._server)
        server = socket.socket(socket.AF_UNIX)
        server.connect(self._server)
        return server


def can_fall_silent() -> bool:
    """Say whether this kernel lets us lose packets: Linux lets everybody, some containers nobody but root."""
    with socket.socket() as tried:
        try:
            _lose_packets(tried)
        except OSError:
            return False
    return True


def callers(listener: socket.socket) -> Iterator[socket.socket]:
    """Yield a connection for everybody who calls, until nobody listens any more."""
    with suppress(OSError):
        while True:
            yield listener.accept()[0]


def send_away(listener: socket.socket) -> None:
    """Listen no more. Merely closed, a socket goes on accepting for whoever is waiting for a caller."""
    with suppress(OSError):
        listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def _lose_packets(client: socket.socket) -> None:
    instruction = ctypes.create_string_buffer(struct.pack("HBBI", _RETURN, 0, 0, _NOTHING))
    client.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, struct.pack("HL", 1, ctypes.addressof(instruction)))


def _pass_on(client: socket.socket, server: socket.socket) -> None:
    with suppress(OSError):
        while said := client.recv(65_536):
            server.sendall(said)
    with suppress(OSError):
        server.shutdown(socket.SHUT_RDWR)


@contextmanager
def wire(*, server: str | tuple[str, int]) -> Iterator[Wire]:
    """Open a wire to a server: its place, or the path of its socket."""
    opened = Wire(server=server)
    try:
        yield opened
    finally:
        opened.close()
