"""A process that sends events straight to Kafka: a JSON job a line, answered with the instant of each by key."""

import json
import sys
import time
from typing import Any
from uuid import UUID

import django

django.setup()

from bench.events.backlog import PAYLOAD, TOPIC
from integrations.kafka.client import Publisher
from integrations.kafka.envelope import headers_of
from shop.kernel.clock import utc_now
from shop.kernel.ids import new_id
from shop.kernel.outbox.dto import Told

POISON_EVERY = 20


def main() -> None:
    """Do one job after the other."""
    publisher = Publisher(linger_ms=0)
    for line in sys.stdin:
        print(json.dumps(send(publisher, **json.loads(line))), flush=True)


def send(publisher: Publisher, *, events: int, rate: float, poison: str = "") -> dict[str, Any]:
    """Send so many events, `rate` a second (0: at once), every twentieth under the poisoned key if there is one."""
    sent: dict[str, float] = {}
    began = time.monotonic()
    for n in range(events):
        if rate:
            time.sleep(max(0.0, began + n / rate - time.monotonic()))
        key = UUID(poison) if poison and n % POISON_EVERY == 0 else new_id()
        sent[str(key)] = time.time()
        _send(publisher, key)
        publisher.poll(0)
    publisher.flush(60)
    return {"sent": sent}


def _send(publisher: Publisher, key: UUID) -> None:
    told = Told(
        id=new_id(),
        topic=TOPIC,
        type=f"{TOPIC}.v1",
        key=key,
        sequence=1,
        data=PAYLOAD.replace("%s", str(key)).encode(),
        headers={},
        occurred_at=utc_now(),
    )
    publisher.send(topic=TOPIC, key=str(key), value=told.data, headers=headers_of(told), report=lambda *_: None)


if __name__ == "__main__":
    main()
