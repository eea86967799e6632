"""The halves of a relay: `producer N` sends N events without a database, `delete` empties the queue without Kafka."""

import json
import sys
import time
from datetime import UTC, datetime

import django

django.setup()

from bench.events.backlog import EVENTS_A_KEY, PAYLOAD, TOPIC
from integrations.kafka.client import Publisher
from integrations.kafka.envelope import headers_of
from integrations.kafka.relay import BATCH
from shop.kernel.ids import new_id
from shop.kernel.outbox import queue
from shop.kernel.outbox.dto import Told
from shop.kernel.outbox.services import SHARDS


def main() -> None:
    """Do one of the two and print the rate."""
    count = bare_producer(int(sys.argv[2])) if sys.argv[1] == "producer" else bare_delete()
    print(json.dumps(count))


def bare_producer(events: int) -> dict[str, float]:
    """Send records like the relay's, made beforehand, and wait for all acknowledgements."""
    records, key = [], new_id()
    for n in range(events):
        if n % EVENTS_A_KEY == 0:
            key = new_id()
        told = Told(
            id=new_id(), topic=TOPIC, type=f"{TOPIC}.v1", key=key, sequence=1 + n % EVENTS_A_KEY,
            data=PAYLOAD.replace("%s", str(key)).encode(), headers={"correlationid": str(key), "causationid": str(key)},
            occurred_at=datetime.now(UTC),
        )  # fmt: skip
        records.append((str(key), told.data, headers_of(told)))
    publisher, acknowledged = Publisher(), 0

    def landed(error: object, _message: object) -> None:
        nonlocal acknowledged
        acknowledged += error is None

    began, cpu = time.monotonic(), time.process_time()
    for number, (key, value, headers) in enumerate(records, 1):
        publisher.send(topic=TOPIC, key=key, value=value, headers=headers, report=landed)
        if number % BATCH == 0:
            publisher.poll(0)
        while number - acknowledged > 10 * BATCH:
            publisher.poll(0.01)
    publisher.flush(60)
    return _rate(acknowledged, began, cpu)


def bare_delete() -> dict[str, float]:
    """Read and delete batches until nothing waits."""
    queue.prepare_to_carry()
    removed, began, cpu = 0, time.monotonic(), time.process_time()
    while rows := queue.read(shards=range(SHARDS), in_flight=[], limit=BATCH):
        removed += queue.remove(positions=[row.position for row in rows])
    return _rate(removed, began, cpu)


def _rate(events: int, began: float, cpu: float) -> dict[str, float]:
    lasted = time.monotonic() - began
    return {"per_second": events / lasted, "cpu_us": (time.process_time() - cpu) / events * 1e6, "events": events}


if __name__ == "__main__":
    main()
