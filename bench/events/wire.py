"""An independent reader of everything that is on the wire: no group, no inbox, no code of the consumers.

For each line on standard input it answers how many records it has read, and how many of them were repeats or first
occurrences that came behind a later one of their key.
"""

import json
import os
import sys
import threading
from collections import defaultdict
from contextlib import suppress

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition

from bench.events.backlog import TOPIC
from integrations.kafka.client.connection import LOOK_MS, knows_no_broker


class Wire:
    """What was seen, by key."""

    def __init__(self) -> None:
        self.records = self.inverted = 0
        self.seen: dict[bytes, set[int]] = defaultdict(set)
        self._latest: dict[bytes, int] = defaultdict(int)

    def note(self, key: bytes, sequence: int) -> None:
        """Count one record."""
        self.records += 1
        seen = self.seen[key]
        if sequence not in seen:
            self.inverted += sequence < self._latest[key]
            self._latest[key] = max(self._latest[key], sequence)
            seen.add(sequence)

    def told(self) -> dict[str, int]:
        """Return the counts."""
        distinct = sum(map(len, self.seen.values()))
        return {"records": self.records, "distinct": distinct, "inverted": self.inverted}


def main() -> None:
    """Read for ever."""
    wire = Wire()
    threading.Thread(target=_answer, args=[wire], daemon=True).start()
    following: dict[int, int] = {}
    while True:
        # The next one goes on where this one stood.
        with suppress(KafkaException):
            _read(wire, following)


def _read(wire: Wire, following: dict[int, int]) -> None:
    """Read until the brokers are lost; note by partition what comes next."""
    lost = threading.Event()

    def look(figures: str) -> None:
        if knows_no_broker(figures):
            lost.set()

    servers = os.environ["KAFKA_BOOTSTRAP_SERVERS"]
    own = {"bootstrap.servers": servers, "group.id": "wire", "enable.auto.commit": False, "log_level": 0}
    reader = Consumer(own | {"statistics.interval.ms": LOOK_MS, "stats_cb": look})
    try:
        partitions = reader.list_topics(TOPIC, timeout=20).topics[TOPIC].partitions
        reader.assign([TopicPartition(TOPIC, number, following.get(number, OFFSET_BEGINNING)) for number in partitions])
        while not lost.is_set():
            for message in reader.consume(1_000, 0.1):
                if message.error() is None:
                    wire.note(message.key(), int(dict(message.headers())["ce_sequence"]))
                    following[message.partition()] = message.offset() + 1
    finally:
        reader.close()


def _answer(wire: Wire) -> None:
    for _ in sys.stdin:
        print(json.dumps(wire.told()), flush=True)


if __name__ == "__main__":
    main()
