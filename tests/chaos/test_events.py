"""Relays, consumers and broker are killed, stopped and cut off; no event is lost, turned round or done twice.

The chaos itself is `bench.chaos_events`, whose long run takes a million events; this is a short one of it.
"""

import os
import random
import subprocess
import sys

import pytest

from integrations.embedded import maven
from integrations.embedded.errors import NoJava
from integrations.embedded.state import PROJECT_ROOT

pytestmark = pytest.mark.chaos

SECONDS = 300.0


def has_java() -> bool:
    """Tell whether a real Kafka can be started."""
    try:
        maven.java()
    except NoJava:
        return False
    return True


needs_java = pytest.mark.skipif(not has_java(), reason="a real Kafka needs Java and Maven")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")


@pytest.mark.parametrize(
    "kafka",
    [
        pytest.param(["embedded"], id="embedded"),
        pytest.param(["real"], id="real", marks=needs_java),
        pytest.param(["real", "--brokers", "3"], id="three brokers", marks=needs_java),
        pytest.param(["real", "--disk", "300"], id="full disk", marks=[needs_java, needs_root]),
    ],
)
def test_nothing_is_lost_turned_round_or_done_twice(kafka: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    seed = random.randrange(1_000_000)
    options = ["--events", "20000", "--rate", "800", "--kills", "8", "--relays", "3", "--seed", str(seed)]
    # Each kill repeats what was in flight, thousands at the most; here are four times as many of them to an event as
    # in the long run, of which 1 % is asked.
    options += ["--most-repeats", "0.2"]

    ran = subprocess.run(
        [sys.executable, "-m", "bench.chaos_events", "--kafka", *kafka, *options],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )

    with capsys.disabled():
        sys.stdout.write(f"\n{ran.stdout}")
    assert ran.returncode == 0, f"seed {seed}\n{ran.stdout}\n{ran.stderr[-4_000:]}"
