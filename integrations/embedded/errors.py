"""Every refusal the embedded stack can utter; each is one line for a person at a terminal."""

from pathlib import Path


class EmbeddedError(Exception):
    """The stack cannot do what was asked; `str()` says in one line what is wrong and how to mend it."""


class AlreadyRunning(EmbeddedError):
    """Another process holds the state folder."""

    def __init__(self, *, pid: int | None, url: str) -> None:
        """Name the process that holds the folder and the address it serves, as far as it wrote them down."""
        self.pid = pid
        self.url = url
        holder = f"pid {pid}" if pid else "pid unknown"
        super().__init__(f"already running ({holder})" + (f", URL {url}" if url else ""))


class NotReady(EmbeddedError):
    """A process died, or did not answer in time, while it was started."""

    def __init__(self, *, name: str, reason: str, log_file: Path, tail: str) -> None:
        """Keep the end of the process's log, which usually says why."""
        self.name = name
        self.tail = tail
        super().__init__(f"{name} {reason}; its log is {log_file}" + (f" and ends:\n{tail}" if tail else ""))


class PortTaken(EmbeddedError):
    """Another program listens on a port that was asked for by name."""

    def __init__(self, *, port: int, variable: str) -> None:
        """Name the port and the variable that moves it."""
        self.port = port
        self.variable = variable
        super().__init__(f"port {port} is taken by another program; choose a free one: {variable}={port + 10} make run")


class NoJava(EmbeddedError):
    """This machine cannot run Java programs from Maven Central."""

    def __init__(self, *, found: str) -> None:
        """Say what was found in place of what is needed."""
        super().__init__(
            f"a real Kafka needs Java 17 or newer and Maven, found {found};"
            " on Debian: apt-get install openjdk-17-jre-headless maven"
        )
