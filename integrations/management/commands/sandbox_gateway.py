"""Run the sandbox payment gateway."""

import os
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

PROJECT_ROOT = Path(__file__).resolve().parents[3]


class Command(BaseCommand):
    """Become the gateway's own process, where the settings allow one."""

    help = "Run the sandbox payment gateway, for development and tests only."
    # The process is about to become another program, which uses no model of ours.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the port."""
        parser.add_argument("--port", type=int, help="port on 127.0.0.1 (default: GATEWAY_PORT, or 8001)")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Replace this process with the gateway's; raises CommandError unless the settings allow it."""
        if getattr(settings, "SANDBOX_GATEWAY_ALLOWED", False) is not True:
            raise CommandError("The sandbox gateway gives goods away for test cards: these settings do not allow it.")
        known = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = os.pathsep.join([str(PROJECT_ROOT), *([known] if known else [])])
        port = [] if options["port"] is None else ["--port", str(options["port"])]
        os.execv(sys.executable, [sys.executable, "-m", "integrations.sandbox_gateway", *port])  # noqa: S606  no shell wanted
