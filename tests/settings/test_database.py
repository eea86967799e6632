"""The database as the environment names it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from django.db import OperationalError, connection
from django.db.utils import ConnectionHandler
from psycopg.errors import QueryCanceled

from settings.base import database
from tests.integrations.kafka.conftest import in_thread, wait_until
from tests.integrations.kafka.replay.commands import ROOT
from tests.integrations.kafka.test_relay import process_environment
from tests.wire import can_fall_silent, wire

needs_psql = pytest.mark.skipif(shutil.which("psql") is None, reason="psql is not installed")
needs_silence = pytest.mark.skipif(not can_fall_silent(), reason="this kernel lets only root lose packets")


def test_a_socket_s_folder_is_the_host() -> None:
    described = database("postgres://shop:secret@/shop?host=/run/shop")

    assert described["HOST"] == "/run/shop"
    assert "host" not in described["OPTIONS"]
    assert database("postgres://shop:secret@db:5433/shop")["HOST"] == "db"


@needs_psql
def test_dbshell_finds_the_database_as_the_runbooks_have_it(db: None, tmp_path: Path) -> None:
    asked = subprocess.run(
        [sys.executable, "manage.py", "dbshell", "--", "-tA", "-c", "SELECT current_database()"],
        cwd=ROOT,
        env=process_environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )

    assert (asked.returncode, asked.stderr) == (0, "")
    assert asked.stdout.startswith("test_")


@needs_silence
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("asked", ["before", "after"])
def test_a_server_that_falls_silent_is_given_up(asked: str) -> None:
    there = settings.DATABASES["default"]
    with wire(server=f"{there['HOST']}/.s.PGSQL.5432") as way:
        described = database(f"postgres://{there['USER']}@127.0.0.1:{way.port}/{there['NAME']}")
        far = ConnectionHandler({"default": described})

        def ask() -> None:
            with far["default"].cursor() as cursor:
                if asked == "after":
                    way.fall_silent()
                with pytest.raises(OperationalError) as given_up:
                    cursor.execute("SELECT pg_sleep(60)")
            # That would be the server's own word, and nothing of it comes through.
            assert not isinstance(given_up.value.__cause__, QueryCanceled)

        with in_thread(ask, lambda: None):
            if asked == "before":
                wait_until(somebody_sleeps)
                way.fall_silent()


def somebody_sleeps() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"
        )
        return bool(cursor.fetchone()[0])
