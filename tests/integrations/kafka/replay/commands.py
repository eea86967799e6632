"""Calling the commands of replays, here and in processes of their own."""

import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

from django.core.management import call_command

from tests.integrations.kafka.test_relay import process_environment

ROOT = Path(__file__).resolve().parents[4]


def run(name: str, *arguments: str) -> str:
    """Run a command and return what it printed."""
    output = StringIO()
    call_command(name, *arguments, stdout=output, stderr=output)
    return output.getvalue()


def process(tmp_path: Path, *arguments: str) -> "subprocess.Popen[Any]":
    """Start `manage.py` on the test's database as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=process_environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
