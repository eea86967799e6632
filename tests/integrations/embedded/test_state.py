import errno
import json
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from integrations.embedded.errors import AlreadyRunning, EmbeddedError
from integrations.embedded.state import default_state_dir, locked_state, publish_environment, running_environment

ADDRESSES = {"DATABASE_URL": "postgres://shop@/shop?host=/x", "WEB_PORT": "8000"}


def test_the_folder_is_private(tmp_path: Path) -> None:
    with locked_state(state_dir=tmp_path / "state") as folder:
        assert folder.stat().st_mode & 0o777 == 0o700


def test_a_second_holder_is_refused_with_pid_and_url(tmp_path: Path) -> None:
    with (
        locked_state(state_dir=tmp_path, url="http://127.0.0.1:8000"),
        pytest.raises(AlreadyRunning) as refusal,
        locked_state(state_dir=tmp_path),
    ):
        pytest.fail("two holders")

    assert str(refusal.value) == f"already running (pid {os.getpid()}), URL http://127.0.0.1:8000"


def test_a_released_folder_can_be_taken_again(tmp_path: Path) -> None:
    with locked_state(state_dir=tmp_path):
        pass

    with locked_state(state_dir=tmp_path) as folder:
        assert folder == tmp_path


def test_the_environment_is_known_while_the_stack_runs_and_not_after(tmp_path: Path) -> None:
    with locked_state(state_dir=tmp_path):
        publish_environment(state_dir=tmp_path, environment=ADDRESSES)
        assert running_environment(tmp_path) == ADDRESSES

    assert running_environment(tmp_path) is None


def test_what_a_killed_stack_left_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text(json.dumps({"pid": 1, "url": ""}))
    publish_environment(state_dir=tmp_path, environment=ADDRESSES)

    assert running_environment(tmp_path) is None


def test_a_new_holder_forgets_the_addresses_of_a_killed_one(tmp_path: Path) -> None:
    publish_environment(state_dir=tmp_path, environment=ADDRESSES)

    with locked_state(state_dir=tmp_path):
        assert running_environment(tmp_path) is None


def test_asking_does_not_look_like_running(tmp_path: Path) -> None:
    with locked_state(state_dir=tmp_path):
        pass
    running_environment(tmp_path)

    with locked_state(state_dir=tmp_path) as folder:
        assert folder == tmp_path


def test_no_folder_means_nothing_runs(tmp_path: Path) -> None:
    assert running_environment(tmp_path / "absent") is None


def test_the_variable_moves_the_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SHOP_STATE_DIR", str(tmp_path))

    assert default_state_dir() == tmp_path


def test_logs_of_the_last_run_are_kept_apart(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "web.log").write_text("old")

    with locked_state(state_dir=tmp_path) as folder:
        assert [log.name for log in (folder / "logs").iterdir()] == ["web.log.1"]


def test_a_full_disk_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=5 * 2**20))

    with (
        pytest.raises(EmbeddedError, match=r"^only 5 MB are free for .*; free some, .*$"),
        locked_state(state_dir=tmp_path),
    ):
        pytest.fail("started without room")


def test_no_space_left_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def full(*_arguments: object, **_options: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "mkdir", full)

    with pytest.raises(EmbeddedError, match="no space is left"), locked_state(state_dir=tmp_path / "state"):
        pytest.fail("started without room")


def test_an_impossible_folder_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with (
        pytest.raises(EmbeddedError, match=r"^cannot write the state folder .*: not a directory; name another place"),
        locked_state(state_dir=tmp_path / "file" / "state"),
    ):
        pytest.fail("started nowhere")


def test_a_folder_of_somebody_else_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)

    with pytest.raises(EmbeddedError, match=r"belongs to .*; name another place"), locked_state(state_dir=tmp_path):
        pytest.fail("took somebody else's folder")
