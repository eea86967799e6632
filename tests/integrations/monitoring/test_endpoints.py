"""Relay, consumers and worker answer Prometheus, each in a process of its own as `make run` starts it."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest
from django.db import connection
from prometheus_client.parser import text_string_to_metric_families

from integrations.embedded.ports import any_free

pytestmark = pytest.mark.django_db(transaction=True)

ROOT = Path(__file__).resolve().parents[3]
CELERY = str(Path(sys.executable).with_name("celery"))
COMMANDS = {
    "relay": [sys.executable, "manage.py", "relay_outbox"],
    "consumers": [sys.executable, "manage.py", "consume_events"],
    "worker": [CELERY, "-A", "settings.celery", "worker", "--concurrency", "2", "--without-gossip", "--without-mingle"],
}
# What each has to tell beside its own process's figures, and what only the relay tells.
OWN = {
    "relay": {"shop_relay_leases_held", "shop_relay_published_total"},
    "consumers": {"shop_consumer_lag", "shop_user_actions_total", "shop_consumer_events_total"},
    # Of what the worker's children share, metrics with labels are there once they have been used.
    "worker": {"notifications_send_seconds"},
}
STANDING = {"shop_outbox_pending", "shop_consumer_parked", "payments_stuck", "shop_overdue_seconds"}


@contextmanager
def running(name: str, folder: Path, port: int) -> Iterator[None]:
    """Run the process until it says that it works."""
    ready = folder / "ready"
    environment = os.environ | {
        "DATABASE_URL": os.environ["DATABASE_URL"].replace("/shop?", f"/{connection.settings_dict['NAME']}?"),
        "DJANGO_SETTINGS_MODULE": "settings.test",
        "METRICS_PORT": str(port),
        "SHOP_READY_FILE": str(ready),
        "LOG_LEVEL": "ERROR",
        "CELERY_SKIP_CHECKS": "1",
    }
    if name == "worker":
        (folder / "metrics").mkdir()
        environment["PROMETHEUS_MULTIPROC_DIR"] = str(folder / "metrics")
    process = subprocess.Popen(COMMANDS[name], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 120
        while not ready.exists():
            assert process.poll() is None, f"{name} ended with {process.returncode}"
            assert time.monotonic() < deadline, f"{name} never came up"
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(90)


@pytest.mark.parametrize("name", COMMANDS)
def test_each_process_tells_its_own(name: str, tmp_path: Path) -> None:
    port = any_free()
    with running(name, tmp_path, port), closing(HTTPConnection("127.0.0.1", port, timeout=60)) as asking:
        asking.request("GET", "/metrics")
        text = asking.getresponse().read().decode()

    families = {family.name: family for family in text_string_to_metric_families(text)}
    told = {family.removesuffix("_total") for family in families}
    assert {metric.removesuffix("_total") for metric in OWN[name]} <= told
    assert (set(families) >= STANDING) == (name == "relay")
    if name == "relay":
        assert families["shop_standing_readable"].samples[0].value == 1
