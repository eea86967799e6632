"""Events as NDJSON: structured CloudEvents, whole or not at all."""

import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError

from integrations.kafka.envelope import headers_of
from integrations.kafka.groups import Group
from shop.kernel.ids import new_id
from shop.kernel.outbox import log as event_log
from shop.kernel.outbox.log import Selection
from tests.integrations.kafka.conftest import DEADLINE_SECONDS, tell
from tests.integrations.kafka.replay.commands import ROOT, run
from tests.integrations.kafka.test_relay import process_environment

ONE, TWO = new_id(), new_id()


def exported(tmp_path: Path, *flags: str) -> list[dict[str, Any]]:
    file = tmp_path / "events.ndjson"
    run("export_events", *flags, "--output", str(file))
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_each_line_says_what_the_headers_on_the_wire_say(listening: Group, tmp_path: Path) -> None:
    tell(ONE, TWO)

    lines = exported(tmp_path)

    told = next(event_log.chunks(Selection(), size=10))
    assert len(lines) == len(told) == 2
    for line, event in zip(lines, told, strict=True):
        wire = {name.removeprefix("ce_"): value.decode() for name, value in headers_of(event)}
        assert line.pop("datacontenttype") == wire.pop("content-type")
        assert line.pop("data") == json.loads(event.data)
        assert line == wire
    assert list(tmp_path.iterdir()) == [tmp_path / "events.ndjson"]


def test_flags_select_as_those_of_replays(listening: Group, tmp_path: Path) -> None:
    _, second = tell(ONE, TWO)

    assert [line["id"] for line in exported(tmp_path, "--key", str(TWO))] == [str(second)]
    assert exported(tmp_path, "--type", "order.created.v1") == []


def test_an_export_takes_the_place_of_the_one_before(listening: Group, tmp_path: Path) -> None:
    tell(ONE)
    exported(tmp_path)
    tell(TWO)

    assert len(exported(tmp_path)) == 2


def test_a_folder_that_is_not_there_is_one_clear_line(listening: Group, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="Not written: No such file or directory"):
        run("export_events", "--output", str(tmp_path / "nowhere" / "events.ndjson"))


def export_in_a_process(tmp_path: Path, *flags: str, **how: Any) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "manage.py", "export_events", *flags],
        cwd=ROOT,
        # What this process compiles under a limit would be cut short, for all who import it afterwards.
        env=process_environment(tmp_path) | {"PYTHONDONTWRITEBYTECODE": "1"},
        stderr=subprocess.PIPE,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
        **how,
    )


@pytest.mark.django_db(transaction=True)
def test_on_standard_output_stand_events_and_nothing_else(tmp_path: Path) -> None:
    tell(ONE, TWO)

    done = export_in_a_process(tmp_path, stdout=subprocess.PIPE)

    assert done.returncode == 0
    assert len([json.loads(line) for line in done.stdout.splitlines()]) == 2
    assert "2 events written." in done.stderr


@pytest.mark.django_db(transaction=True)
def test_a_full_disk_is_one_clear_line_and_the_file_of_before_stays(tmp_path: Path) -> None:
    tell(*[ONE] * 200)
    file = tmp_path / "events.ndjson"
    file.write_text("of before\n")

    def no_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))

    done = export_in_a_process(tmp_path, "--output", str(file), preexec_fn=no_room)

    assert done.returncode == 1
    assert f"Not written: File too large ({file})" in done.stderr
    assert "Traceback" not in done.stderr
    assert file.read_text() == "of before\n"
    assert [path.name for path in tmp_path.iterdir()] == ["events.ndjson"]


@pytest.mark.django_db(transaction=True)
def test_a_standard_output_that_takes_no_more_is_one_clear_line(tmp_path: Path) -> None:
    tell(*[ONE] * 200)

    with Path("/dev/full").open("wb") as full:
        done = export_in_a_process(tmp_path, stdout=full)

    assert done.returncode == 1
    assert "Not written: No space left on device (standard output)" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("folder", ["", ".", "/"])
def test_a_folder_is_no_file(folder: str, listening: Group) -> None:
    with pytest.raises(CommandError, match="is a folder"):
        run("export_events", "--output", folder)
