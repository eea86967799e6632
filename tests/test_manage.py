"""Commands that come to nothing: by Ctrl-C, a reader that has had enough, a database that is away."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection, transaction

from integrations.embedded.ports import any_free
from tests.integrations.kafka.conftest import wait_until
from tests.integrations.kafka.replay.commands import PATIENCE_SECONDS, ROOT
from tests.integrations.kafka.test_relay import process_environment

pytestmark = pytest.mark.django_db(transaction=True)


def started(
    tmp_path: Path, *command: str | bytes, stdout: int = subprocess.PIPE, **environment: str
) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "manage.py", *command],
        cwd=ROOT,
        env=process_environment(tmp_path) | environment,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
    )


def waits_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT FROM pg_locks WHERE relation = 'kafka_parked'::regclass AND NOT granted")
        return cursor.fetchone() is not None


@pytest.fixture
def _hears_ctrl_c() -> Iterator[None]:
    """Let what is started hear Ctrl-C, also where the tests are a job in the background: those ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_hears_ctrl_c")
def test_ctrl_c_ends_a_command_without_a_traceback(tmp_path: Path) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("LOCK TABLE kafka_parked")
        # Longer than a busy machine takes to hear of Ctrl-C.
        process = started(tmp_path, "list_dead_letters", DATABASE_LOCK_TIMEOUT_MS="14000")
        wait_until(waits_for_a_lock, seconds=PATIENCE_SECONDS)
        process.send_signal(signal.SIGINT)
        _, complaints = process.communicate(timeout=PATIENCE_SECONDS)

    assert process.returncode == 128 + signal.SIGINT
    assert "Traceback" not in complaints


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_has_had_enough_gets_no_traceback(unbuffered: str, tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    process = started(tmp_path, "list_dead_letters", stdout=write, PYTHONUNBUFFERED=unbuffered)
    os.close(write)

    _, complaints = process.communicate(timeout=PATIENCE_SECONDS)

    assert process.returncode == 1
    assert complaints == ""


@pytest.mark.parametrize(
    "command", [["list_dead_letters"], ["replay_events", "--consumer", "orders"], ["check_ledger"]]
)
def test_a_database_that_is_away_is_said_in_a_line(command: list[str], tmp_path: Path) -> None:
    nowhere = f"postgres://shop@127.0.0.1:{any_free()}/shop"

    process = started(tmp_path, *command, DATABASE_URL=nowhere)
    _, complaints = process.communicate(timeout=PATIENCE_SECONDS)

    assert process.returncode == 1
    assert complaints.startswith("The database is away, or did not do it: connection failed")
    assert "Traceback" not in complaints


@pytest.mark.parametrize("command", [["explain_order", b"\xff"], ["redrive", "--key", b"\xff"]])
def test_a_word_that_is_no_text_is_said_in_a_line(command: list[str | bytes], tmp_path: Path) -> None:
    process = started(tmp_path, *command)

    _, complaints = process.communicate(timeout=PATIENCE_SECONDS)

    assert process.returncode == 1
    assert complaints == "A word of this command is not UTF-8.\n"
