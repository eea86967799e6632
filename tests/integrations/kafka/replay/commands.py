"""Calling the commands of replays, here and in processes of their own."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

from django.core.management import call_command
from django.db import connection

from integrations.kafka.models import Replay
from tests.integrations.kafka.conftest import wait_until
from tests.integrations.kafka.test_relay import process_environment

ROOT = Path(__file__).resolve().parents[4]
PATIENCE_SECONDS = 240.0
# Sixty events take a quarter of a minute: who is to meet the replay in its middle may be held up for seconds.
SLOWLY = ["--rate", "4"]
_SESSIONS_THAT_HOLD_A_REPLAY = """
SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
WHERE locktype = 'advisory' AND datname = current_database() AND pid <> pg_backend_pid()
"""


def run(name: str, *arguments: str) -> str:
    """Run a command and return what it printed."""
    output = StringIO()
    call_command(name, *arguments, stdout=output, stderr=output)
    return output.getvalue()


@contextmanager
def replaying(tmp_path: Path, *flags: str) -> Iterator["subprocess.Popen[str]"]:
    """Run a slow replay on the test's database as a process of its own; yield it when it has begun to deliver."""
    process = subprocess.Popen(
        [sys.executable, "manage.py", "replay_events", *flags, "--execute", "--reason", "a test", *SLOWLY],
        cwd=ROOT,
        env=process_environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        # It runs at low priority, and the machine may be busy.
        wait_until(lambda: Replay.objects.filter(delivered__gte=4).exists(), seconds=PATIENCE_SECONDS)
        yield process
    finally:
        process.kill()
        process.communicate()


def ended(process: "subprocess.Popen[str]", by: signal.Signals) -> str:
    """End a replay by a signal; return what it said, once the database has noticed, too, that it is gone."""
    process.send_signal(by)
    said = process.communicate(timeout=PATIENCE_SECONDS)[1]
    wait_until(lambda: not _is_held())
    return said


def _is_held() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(_SESSIONS_THAT_HOLD_A_REPLAY)
        ((sessions,),) = cursor.fetchall()
    return bool(sessions)
