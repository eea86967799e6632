import os
from pathlib import Path

import psycopg
import pytest

from integrations.embedded import clean, places
from integrations.embedded.errors import EmbeddedError
from integrations.embedded.postgres import PostgresServer

ME = places.Account(name="", uid=os.geteuid(), gid=os.getegid())
STRANGER = places.Account(name="stranger", uid=ME.uid + 4711, gid=ME.gid + 4711)
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has to step down to another user")


def test_a_short_path_keeps_its_socket_folder(state_dir: Path) -> None:
    assert places.socket_folder(preferred=state_dir / "socket", account=ME) == state_dir / "socket"
    assert (state_dir / "socket").stat().st_mode & 0o777 == 0o700


def test_a_long_path_gets_the_same_short_folder_each_time(state_dir: Path) -> None:
    long = state_dir / ("x" * 100)

    first = places.socket_folder(preferred=long, account=ME)
    second = places.socket_folder(preferred=long, account=ME)

    assert first == second
    assert len(str(first)) < places.LONGEST_SOCKET_FOLDER
    first.rmdir()


def test_a_folder_that_somebody_planted_is_refused(state_dir: Path) -> None:
    (state_dir / "real").mkdir()
    (state_dir / "planted").symlink_to(state_dir / "real")

    with pytest.raises(EmbeddedError, match="belongs to somebody else"):
        places.own_folder(path=state_dir / "planted", account=ME)


def test_a_closed_folder_above_stops_another_user(state_dir: Path) -> None:
    inner = state_dir / "closed" / "inner"
    inner.mkdir(parents=True)
    inner.parent.chmod(0o700)

    assert places.can_enter(path=inner, account=ME)
    assert not places.can_enter(path=inner, account=STRANGER)


def test_figures_live_in_memory_and_not_on_a_disk_that_may_be_full(state_dir: Path) -> None:
    folder = places.figures_folder(state_dir=state_dir)

    assert folder.parent == places.MEMORY
    assert folder.stat().st_mode & 0o777 == 0o700
    assert places.figures_folder(state_dir=state_dir) == folder
    folder.rmdir()


def test_figures_stay_with_the_rest_where_there_is_no_memory_to_write_to(
    state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "MEMORY", state_dir / "not there")

    assert places.figures_folder(state_dir=state_dir) == state_dir / "metrics"


@as_root
def test_root_steps_down_and_keeps_data_and_programs_outside_closed_folders(
    state_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(places, "ELSEWHERE", state_dir / "elsewhere")
    closed = state_dir / "root" / "state"
    closed.mkdir(parents=True)
    closed.parent.chmod(0o700)
    # The virtual environment of a project under /root is closed as well.
    monkeypatch.setattr(places, "can_enter", lambda **_: False)
    server = PostgresServer(state_dir=closed, durable=False)
    umask = os.umask(0o077)

    try:
        server.start()

        with psycopg.connect(server.url) as connection:
            row = connection.execute("SHOW data_directory").fetchone()
            assert row is not None
            assert Path(row[0]).parent.parent == state_dir / "elsewhere"
            assert Path(row[0]).stat().st_uid != 0
            assert server.child is not None
            assert Path(f"/proc/{server.child.pid}/exe").readlink().is_relative_to(state_dir / "elsewhere")
    finally:
        os.umask(umask)
        server.stop()
    monkeypatch.setenv("SHOP_STATE_DIR", str(closed))
    assert clean.main() == 0
    assert capsys.readouterr().out == f"removed {closed}\n"
    assert list((state_dir / "elsewhere").iterdir()) == []


@as_root
def test_removing_the_state_folder_is_a_clean_start_also_elsewhere(
    state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "ELSEWHERE", state_dir / "elsewhere")
    closed = state_dir / "root" / "state"
    closed.mkdir(parents=True)
    closed.parent.chmod(0o700)
    before = places.server_home(state_dir=closed, account=STRANGER)
    (before / "data").mkdir()
    assert places.server_home(state_dir=closed, account=STRANGER) == before
    assert (before / "data").exists()

    (closed / places.MARK_FILE).unlink()
    after = places.server_home(state_dir=closed, account=STRANGER)

    assert not (after / "data").exists()


@as_root
def test_programs_are_copied_once_and_readable_whatever_the_umask_was(state_dir: Path) -> None:
    hidden = state_dir / "hidden" / "package" / "pg"
    (hidden / "bin").mkdir(parents=True)
    (hidden / "bin" / "postgres").write_text("program")
    (hidden / "bin" / "postgres").chmod(0o700)
    (state_dir / "hidden" / "package.libs").mkdir()
    for folder in (hidden, hidden / "bin", state_dir / "hidden"):
        folder.chmod(0o700)

    copy = places.readable_installation(installation=hidden, home=state_dir, account=STRANGER)

    assert places.can_enter(path=copy / "bin", account=STRANGER)
    assert (copy / "bin" / "postgres").stat().st_mode & 0o777 == 0o755
    assert (copy.parent.parent / "package.libs").is_dir()
    assert places.readable_installation(installation=hidden, home=state_dir, account=STRANGER) == copy
