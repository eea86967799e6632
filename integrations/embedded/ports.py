"""Finding TCP ports on the loopback address."""

import secrets
import socket
from contextlib import closing
from pathlib import Path

LOOPBACK = "127.0.0.1"
# Below the ports Linux lends to whoever connects: until its server listens, nothing keeps a port for it.
_LISTENING = range(20_000, 32_768)


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
    """Return a loopback port that is free now, and that no outgoing connection takes."""
    while True:
        port = secrets.choice(_LISTENING)
        if is_free(port=port):
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
