"""Two other Django outboxes beside ours: their own publisher loops, unchanged, on the same PostgreSQL.

What they send with is replaced, because one of them speaks STOMP only and the other leaves it to its user: by nothing
(`no sink`, the most their loops can do), and by one Kafka record that is waited for (`kafka`), since both take a return
for a delivery.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench.events.place import Place
from integrations.embedded.state import PROJECT_ROOT

FOLDER = PROJECT_ROOT / ".venv" / "peers"
# In an environment of their own: no dependency of the project's.
PACKAGES = (
    "Django==5.2.19",
    "confluent-kafka==2.16.1",
    "django-jaiminho==2.2.1",
    "django-outbox-pattern==3.2.1",
    "psycopg[binary]==3.3.9",
)
PEERS = ("django-outbox-pattern", "django-jaiminho")
SINKS = ("no sink", "kafka")


def measured(place: Place, *, events: int) -> dict[str, Any]:
    """Let each of them send so many events with each sink, and return events a second."""
    python = _installed()
    found: dict[str, Any] = {"packages": list(PACKAGES), "events": events}
    for peer in PEERS:
        for sink in SINKS:
            with place.connect() as connection:
                connection.execute("DROP DATABASE IF EXISTS peers WITH (FORCE)")
                connection.execute("CREATE DATABASE peers")
            found[f"{peer}, {sink}"] = _run(python, place, peer=peer, sink=sink, events=events)
    return found


def _run(python: Path, place: Place, *, peer: str, sink: str, events: int) -> dict[str, float]:
    url = place.environment["DATABASE_URL"].replace("/shop?", "/peers?")
    ran = subprocess.run(
        [str(python), "-m", "bench.events.peer", peer, sink, str(events)],
        cwd=PROJECT_ROOT,
        env=place.environment | {"DATABASE_URL": url},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(ran.stdout.splitlines()[-1])


def _installed() -> Path:
    """Install both, once, and return the Python that has them."""
    python, stamp = FOLDER / "bin" / "python", FOLDER / "stamp"
    if not stamp.exists() or stamp.read_text() != str(PACKAGES):
        subprocess.run([sys.executable, "-m", "venv", str(FOLDER)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
        stamp.write_text(str(PACKAGES))
    return python
