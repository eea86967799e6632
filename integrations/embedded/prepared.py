"""Whether a state folder holds what these very sources make of it, so that a second start need not do it again."""

import hashlib
from pathlib import Path

from integrations.embedded.state import PROJECT_ROOT

STAMP = "prepared"
API_KEY = "internal-api-key"
_SOURCES = ("settings", "integrations", "notifications", "payments", "orders", "checkout", "cart", "shop")
_KINDS = {".py", ".csv", ".txt"}


def is_prepared(*, state_dir: Path, root: Path = PROJECT_ROOT) -> bool:
    """Say whether migrations and seed ran here with the sources as they are now, and what they left is still there."""
    stamp = state_dir / STAMP
    if not (state_dir / API_KEY).is_file() or not stamp.is_file():
        return False
    return stamp.read_text(encoding="ascii") == _fingerprint(root)


def note_prepared(*, state_dir: Path, root: Path = PROJECT_ROOT) -> None:
    """Write down that migrations and seed have run with the sources as they are now."""
    (state_dir / STAMP).write_text(_fingerprint(root), encoding="ascii")


def _fingerprint(root: Path) -> str:
    """Return what changes with any source file: names, sizes and times of change, which cost no reading."""
    digest = hashlib.sha256()
    found = [path for folder in _SOURCES for path in (root / folder).rglob("*") if path.suffix in _KINDS]
    for path in sorted([*found, root / "requirements.txt"]):
        known = path.stat()
        digest.update(f"{path.relative_to(root)} {known.st_size} {known.st_mtime_ns}\n".encode())
    return digest.hexdigest()
