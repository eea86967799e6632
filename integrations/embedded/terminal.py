"""What a person at the terminal sees: our own lines, and the processes' logs with the name in front."""

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TextIO

NAME_WIDTH = 10
COLOURS = ("36", "33", "32", "35", "34", "31", "96", "93", "92")
LONGEST_READ_BYTES = 256 * 1024


class Terminal:
    """Writes lines to a stream; in colour if it is a terminal and NO_COLOR is not set."""

    def __init__(self, *, stream: TextIO | None = None) -> None:
        """Write to `stream`, by default to standard output."""
        self._stream = stream or sys.stdout
        self._is_coloured = self._stream.isatty() and not os.environ.get("NO_COLOR")
        self._colours: dict[str, str] = {}

    def say(self, text: str) -> None:
        """Write a line of our own."""
        self._write(self._painted(text, colour="1"))

    def relay(self, *, name: str, line: str) -> None:
        """Write a line from a process's log, with the process's name and colour in front."""
        colour = self._colours.setdefault(name, COLOURS[len(self._colours) % len(COLOURS)])
        self._write(f"{self._painted(f'{name:<{NAME_WIDTH}}|', colour=colour)} {line}")

    def _painted(self, text: str, *, colour: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._is_coloured else text

    def _write(self, line: str) -> None:
        # The terminal may be closed, or the pipe's reader gone; the stack must still stop in order.
        with suppress(OSError, ValueError):
            print(line, file=self._stream, flush=True)


class LogFollower:
    """Hands on what a process appends to its log.

    The processes write to files and not to pipes, so that a terminal which stops reading never stops a process.
    """

    def __init__(self, *, name: str, path: Path) -> None:
        """Follow `path` from its present end."""
        self._name = name
        self._path = path
        self._position = path.stat().st_size if path.exists() else 0
        self._unfinished = b""

    def pump(self, *, terminal: Terminal) -> None:
        """Write every complete line that is new."""
        if not self._path.exists():
            return
        with self._path.open("rb") as log:
            log.seek(self._position)
            fresh = log.read(LONGEST_READ_BYTES)
        self._position += len(fresh)
        *lines, self._unfinished = (self._unfinished + fresh).split(b"\n")
        for line in lines:
            terminal.relay(name=self._name, line=line.decode("utf-8", errors="replace").rstrip("\r"))
