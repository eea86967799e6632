"""Finding TCP ports on the loopback address."""

import os
import secrets
import socket
from collections import deque
from contextlib import closing
from pathlib import Path

LOOPBACK = "127.0.0.1"
# Below the ports Linux lends to whoever connects.
_LISTENING = range(20_000, 32_768)
# So many of the ports this process has found last are kept from others who look for one, by sockets that only lie on
# them: a server takes its time to begin, and where none is to be, none of somebody else's may begin either.
_KEPT_AT_ONCE = 64
_kept: deque[int] = deque()


def is_free(*, port: int) -> bool:
    """Tell whether a server could listen on this loopback port now."""
    with closing(socket.socket()) as probe:
        # Servers set this too: a port whose last connections are still in TIME_WAIT is free for them.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def any_free() -> int:
    """Return a loopback port that is free now, and that neither an outgoing connection nor another finder takes."""
    while True:
        port = secrets.choice(_LISTENING)
        if _keep(port=port):
            return port


def kept_port(*, memory: Path) -> int:
    """Return the port written in `memory` if it is still free, otherwise a new one, which is written there."""
    if memory.exists():
        remembered = memory.read_text(encoding="ascii").strip()
        if remembered.isdecimal() and is_free(port=int(remembered)):
            return int(remembered)
    port = any_free()
    memory.write_text(f"{port}\n", encoding="ascii")
    return port


def accepts(*, port: int) -> bool:
    """Tell whether something answers on this loopback port."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1):
            return True
    except OSError:
        return False


def _keep(*, port: int) -> bool:
    """Lie on the port so that this finds it taken and a server does not; say whether nobody was there."""
    with closing(socket.socket()) as keeper:
        try:
            keeper.bind((LOOPBACK, port))
        except OSError:
            return False
        # Set after it was bound: from now on a socket with the same option, which servers have, may join it here.
        keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _kept.append(keeper.detach())
    while len(_kept) > _KEPT_AT_ONCE:
        os.close(_kept.popleft())
    return True
