"""Make the virtual environment: `python3.11 -m integrations.embedded.install REQUIREMENTS STAMP`.

Called by the Makefile with the machine's own Python, before anything is installed: standard library only. What goes
wrong is said in one line; what the installers said stays in `.venv/install.log`.
"""

import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Sequence
from pathlib import Path

from integrations.embedded.errors import EmbeddedError
from integrations.embedded.terminal import Terminal

# Installs in seconds what takes pip a minute.
UV = "uv==0.13.9"
NEEDED_BYTES = 1024 * 1024 * 1024
FOLDER = Path(".venv")
LOG = FOLDER / "install.log"
REASONS = {
    "No space left on device": "the disk is full; free about 1 GB",
    "Disk quota exceeded": "the disk quota is used up; free about 1 GB",
    "Temporary failure in name resolution": "the package index cannot be reached; check the network",
    "Name or service not known": "the package index cannot be reached; check the network",
    "dns error": "the package index cannot be reached; check the network",
    "Network is unreachable": "the package index cannot be reached; check the network",
    "Failed to establish a new connection": "the package index cannot be reached; check the network",
    "error sending request": "the package index cannot be reached; check the network",
    "ProxyError": "the package index cannot be reached through the proxy; check HTTPS_PROXY",
    "CERTIFICATE_VERIFY_FAILED": "the package index's certificate is not trusted; check SSL_CERT_FILE",
    "No matching distribution": "a package has no build for this platform or Python",
}


def main(*, requirements: Path, stamp: Path) -> int:
    """Install `requirements` and touch `stamp`; return 1 after one line about what is wrong."""
    terminal = Terminal(stream=sys.stderr)
    began_at = time.monotonic()
    try:
        _require_room()
        if not _works(FOLDER / "bin" / "python"):
            terminal.say("making the virtual environment .venv")
            _make_environment()
        terminal.say(f"installing {requirements}")
        _install(requirements)
    except EmbeddedError as error:
        terminal.say(f"shop: {error}")
        return 1
    stamp.touch()
    terminal.say(f"installed in {time.monotonic() - began_at:.0f} s")
    return 0


def _require_room() -> None:
    free_bytes = shutil.disk_usage(Path()).free
    if free_bytes < NEEDED_BYTES:
        raise EmbeddedError(f"only {free_bytes // 2**20} MB are free here, {NEEDED_BYTES // 2**20} MB are needed")


def _works(python: Path) -> bool:
    # A moved project, or a Python that was upgraded away, leaves an environment that no longer starts.
    try:
        version = subprocess.run([python, "-m", "pip", "--version"], capture_output=True, check=False)  # noqa: S603  constant
    except OSError:
        return False
    return version.returncode == 0


def _make_environment() -> None:
    try:
        venv.create(FOLDER, clear=True, with_pip=True, symlinks=True)
    except subprocess.CalledProcessError:
        shutil.rmtree(FOLDER, ignore_errors=True)
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise EmbeddedError(
            f"Python {version} cannot make a virtual environment; on Debian: apt-get install python{version}-venv"
        ) from None
    except OSError as error:
        raise EmbeddedError(f"cannot write {FOLDER}: {(error.strerror or str(error)).lower()}") from error


def _install(requirements: Path) -> None:
    LOG.unlink(missing_ok=True)
    python = str(FOLDER / "bin" / "python")
    pip = [python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    has_uv = _did(["test", "-x", str(FOLDER / "bin" / "uv")]) or _did([*pip, UV])
    # Like pip, uv shall trust the certificates this machine trusts: a company's proxy has its own.
    uv = [str(FOLDER / "bin" / "uv"), "pip", "install", "--quiet", "--system-certs", "--python", python]
    if has_uv and _did([*uv, "-r", str(requirements)]):
        return
    # Networks that only pip is set up for (its configuration files, an index of their own) end here.
    if not _did([*pip, "-r", str(requirements)]):
        raise EmbeddedError(_reason())


def _did(command: Sequence[str]) -> bool:
    with LOG.open("a") as log:
        return subprocess.run(command, stdout=log, stderr=log, check=False).returncode == 0  # noqa: S603  constants above


def _reason() -> str:
    said = LOG.read_text(encoding="utf-8", errors="replace")
    known = [reason for words, reason in REASONS.items() if words in said]
    last_line = said.strip().rpartition("\n")[2]
    return f"cannot install the requirements: {known[0] if known else last_line} (all of it: {LOG})"


if __name__ == "__main__":
    sys.exit(main(requirements=Path(sys.argv[1]), stamp=Path(sys.argv[2])))
