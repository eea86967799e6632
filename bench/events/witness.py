"""A relay that writes down when the broker has acknowledged each event, into the file its argument names."""

import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

import django

django.setup()

from integrations.kafka import relay
from integrations.kafka.client import Headers, Publisher, Report
from integrations.kafka.stopping import on_stop
from shop.kernel.processes import announce_ready

acknowledged: dict[str, float] = {}


class WitnessedPublisher(Publisher):
    """Notes the instant of each acknowledgement by key."""

    def send(self, *, topic: str, key: str, value: bytes, headers: Headers, report: Report) -> None:
        """Send as always, and listen to the report."""

        def noted(error: Any, message: Any) -> None:
            if error is None:
                acknowledged.setdefault(key, time.time())
            report(error, message)

        super().send(topic=topic, key=key, value=value, headers=headers, report=noted)


def main() -> None:
    """Relay until SIGTERM, then write."""
    vars(relay)["Publisher"] = WitnessedPublisher
    stop = threading.Event()
    on_stop(stop.set)
    announce_ready()
    relay.Relay(stop=stop).run()
    Path(sys.argv[1]).write_text(json.dumps(acknowledged))


if __name__ == "__main__":
    main()
