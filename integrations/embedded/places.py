"""Where PostgreSQL may live: it refuses to run as root, and a Unix socket's path must be short.

Usually all of it is in the state folder. Two things can forbid that: the path is too long for a socket (the kernel
allows 107 bytes), or the stack runs as root in a folder that the unprivileged user who then runs PostgreSQL cannot
enter (`/root/shop`).
"""

import hashlib
import os
import pwd
import secrets
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from integrations.embedded.errors import EmbeddedError

LONGEST_SOCKET_FOLDER = 90
SHORT_FOLDERS = Path("/tmp")  # noqa: S108  every folder in it is checked for its owner
MEMORY = Path("/dev/shm")  # noqa: S108  the folder in it is checked for its owner
ELSEWHERE = Path("/var/lib/shop-embedded")
MARK_FILE = "postgres-elsewhere"
ORIGIN_FILE = "origin"
UNPRIVILEGED_USERS = ("postgres", "nobody", "daemon")


@dataclass(frozen=True, kw_only=True)
class Account:
    """The user a server runs as; `name` is empty when it is simply the one who started us."""

    name: str
    uid: int
    gid: int


def server_account() -> Account:
    """Return ourselves, or for root an unprivileged user that already exists on this machine."""
    if os.geteuid() != 0:
        return Account(name="", uid=os.geteuid(), gid=os.getegid())
    for name in UNPRIVILEGED_USERS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Account(name=name, uid=entry.pw_uid, gid=entry.pw_gid)
    raise EmbeddedError(
        f"PostgreSQL refuses to run as root and none of the users {', '.join(UNPRIVILEGED_USERS)} exists;"
        " run make as an ordinary user, or set DATABASE_URL"
    )


def own_folder(*, path: Path, account: Account) -> Path:
    """Create the folder, or accept it if it is really a folder of this account, and close it to everybody else.

    Raises EmbeddedError if somebody else was there first: others may write to `/tmp`.
    """
    try:
        path.mkdir(mode=0o700)
        os.chown(path, account.uid, account.gid)
    except FileExistsError:
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != account.uid:
            raise EmbeddedError(f"{path} belongs to somebody else; remove it and start again") from None
        path.chmod(0o700)
    return path


def socket_folder(*, preferred: Path, account: Account) -> Path:
    """Return a folder for the socket: `preferred`, or a short one in /tmp if its path is too long for the kernel."""
    if len(os.fsencode(preferred)) > LONGEST_SOCKET_FOLDER:
        return own_folder(path=SHORT_FOLDERS / f"shop-{account.uid}-{_fingerprint(preferred)}", account=account)
    return own_folder(path=preferred, account=account)


def figures_folder(*, state_dir: Path) -> Path:
    """Return where processes keep the figures they add up: in memory if this machine allows it, else with the rest.

    They are files mapped into memory, and whoever writes to one on a full disk is killed by SIGBUS.
    """
    if not os.access(MEMORY, os.W_OK):
        return state_dir / "metrics"
    ourselves = Account(name="", uid=os.geteuid(), gid=os.getegid())
    return own_folder(path=MEMORY / f"shop-{ourselves.uid}-{_fingerprint(state_dir)}", account=ourselves)


def server_home(*, state_dir: Path, account: Account) -> Path:
    """Return the folder that holds PostgreSQL's files: in the state folder, or for root elsewhere if that is closed.

    Removing the state folder stays a clean start: files elsewhere count only together with a mark inside it.
    """
    home = state_dir / "postgres"
    if not account.name:
        home.mkdir(mode=0o700, exist_ok=True)
        return home
    # Root's state folder opens for the server's group, to pass through and no more.
    _open_for_passing(state_dir, account=account)
    if can_enter(path=state_dir, account=account):
        home.mkdir(exist_ok=True)
        _open_for_passing(home, account=account)
        return home
    return _home_elsewhere(state_dir=state_dir, account=account)


def readable_installation(*, installation: Path, home: Path, account: Account) -> Path:
    """Return the folder of PostgreSQL's programs, copied into `home` if the account cannot reach where they are."""
    if not account.name or can_enter(path=installation, account=account):
        return installation
    package = installation.parent
    copy = home / "programs"
    if not copy.exists():
        draft = home / "programs.draft"
        shutil.rmtree(draft, ignore_errors=True)
        unneeded = shutil.ignore_patterns("include", "*.a")
        shutil.copytree(installation, draft / package.name / installation.name, symlinks=True, ignore=unneeded)
        # The programs look for their shared libraries in this folder beside the package.
        libraries = package.with_name(f"{package.name}.libs")
        shutil.copytree(libraries, draft / libraries.name)
        for path in (draft, *draft.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644)
        draft.rename(copy)
    return copy / package.name / installation.name


def can_enter(*, path: Path, account: Account) -> bool:
    """Tell by the mode bits whether the account may pass through every folder down to `path`."""
    return all(_may_pass(folder.stat(), account=account) for folder in (path, *path.parents))


def _open_for_passing(folder: Path, *, account: Account) -> None:
    # Said outright, because the umask of the command line takes the group's rights from a mode given to mkdir.
    os.chown(folder, -1, account.gid)
    folder.chmod(0o710)


def _may_pass(folder: os.stat_result, *, account: Account) -> bool:
    if folder.st_uid == account.uid:
        return bool(folder.st_mode & stat.S_IXUSR)
    if folder.st_gid == account.gid:
        return bool(folder.st_mode & stat.S_IXGRP)
    return bool(folder.st_mode & stat.S_IXOTH)


def existing_home_elsewhere(*, state_dir: Path) -> Path | None:
    """Return the folder outside the state folder that belongs to it, or None if there is none."""
    home = ELSEWHERE / _fingerprint(state_dir)
    mark, mark_of_home = state_dir / MARK_FILE, home / MARK_FILE
    if mark.exists() and mark_of_home.exists() and mark.read_text() == mark_of_home.read_text():
        return home
    return None


def _home_elsewhere(*, state_dir: Path, account: Account) -> Path:
    ELSEWHERE.mkdir(exist_ok=True)
    ELSEWHERE.chmod(0o711)
    _sweep()
    if known := existing_home_elsewhere(state_dir=state_dir):
        return known
    mark = secrets.token_hex(8)
    draft = ELSEWHERE / f".draft-{mark}"
    draft.mkdir()
    _open_for_passing(draft, account=account)
    (draft / MARK_FILE).write_text(mark)
    (draft / ORIGIN_FILE).write_text(str(state_dir))
    (state_dir / MARK_FILE).write_text(mark)
    return draft.rename(ELSEWHERE / _fingerprint(state_dir))


def _sweep() -> None:
    """Remove what belongs to state folders that are gone: nobody else knows of it."""
    for origin in ELSEWHERE.glob(f"[!.]*/{ORIGIN_FILE}"):
        if origin.parent != existing_home_elsewhere(state_dir=Path(origin.read_text())):
            shutil.rmtree(origin.parent)


def _fingerprint(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:8]
