"""What the one producer and its records are, whoever else produces or listens."""

import struct
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from confluent_kafka import KafkaError, Producer

from integrations.kafka.client import Publisher, partition_counts, publisher, read_back, subscriber
from integrations.kafka.errors import BrokerError
from shop.kernel.ids import new_id
from shop.kernel.outbox import queue
from tests.integrations.kafka.conftest import relaying, tell, wait_until


@pytest.fixture
def options(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What a publisher asks of librdkafka."""
    asked: dict[str, Any] = {}

    class Noting(Producer):
        def __init__(self, options: dict[str, Any], **others: Any) -> None:
            asked.update(options)
            super().__init__(options, **others)

    monkeypatch.setattr(publisher, "Producer", Noting)
    Publisher()
    return asked


def test_what_is_sent_is_acknowledged_by_all_and_written_once_and_compressed(options: dict[str, Any]) -> None:
    assert {name: options[name] for name in ("acks", "enable.idempotence", "compression.type", "linger.ms")} == {
        "acks": "all",
        "enable.idempotence": True,
        "compression.type": "lz4",
        "linger.ms": 5,
    }


def test_no_record_is_given_up_for_being_late(options: dict[str, Any]) -> None:
    assert options["message.timeout.ms"] == 0


@dataclass
class Said:
    """What a consumer is handed: the end of a partition, a trouble of the client's, or a record."""

    at: int
    code: int | None = None

    def error(self) -> KafkaError | None:
        return None if self.code is None else KafkaError(self.code)

    def topic(self) -> str:
        return "told"

    def partition(self) -> int:
        return self.at

    def offset(self) -> int:
        return 0

    def key(self) -> bytes:
        return b"key"

    value = key

    def headers(self) -> None:
        return None


def reading(monkeypatch: pytest.MonkeyPatch, *said: Said) -> None:
    """Let the next reader of two partitions be handed this, one after the other, and then nothing any more."""
    left = [[each] for each in said]
    reader = SimpleNamespace(
        list_topics=lambda **_: SimpleNamespace(topics={"told": SimpleNamespace(partitions={0: None, 1: None})}),
        assign=lambda _: None,
        consume=lambda *_: left.pop(0) if left else [],
        close=lambda: None,
    )
    monkeypatch.setattr(subscriber, "Consumer", lambda *_, **__: reader)


def test_reading_back_goes_on_to_the_end_of_each_partition_though_one_ends_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    end, away = KafkaError._PARTITION_EOF, KafkaError._ALL_BROKERS_DOWN
    reading(monkeypatch, Said(0, end), Said(0), Said(0, end), Said(0, away), Said(1), Said(1, end))

    assert [record.partition for record in read_back(topics=["told"])] == [0, 1]


def test_reading_back_a_part_is_not_taken_for_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    reading(monkeypatch, Said(0), Said(0, KafkaError._PARTITION_EOF))

    with pytest.raises(BrokerError, match="1 partitions were not read to their end"):
        list(read_back(topics=["told"], seconds=0.1))


def murmur2(key: bytes) -> int:
    """Return the hash by which Java's clients choose a partition; keys are ids, whole words of four bytes."""
    m, mask = 0x5BD1E995, 0xFFFFFFFF
    h = 0x9747B28C ^ len(key)
    for (word,) in struct.iter_unpack("<i", key):
        k = word * m & mask
        h = (h * m ^ (k ^ k >> 24) * m) & mask
    h = (h ^ h >> 13) * m & mask
    return (h ^ h >> 15) & 0x7FFFFFFF


@pytest.mark.django_db(transaction=True)
def test_a_key_lands_where_java_s_clients_would_put_it() -> None:
    keys = {str(new_id()).encode() for _ in range(40)}
    partitions = partition_counts()["analytics.events"]
    tell(*(UUID(key.decode()) for key in keys))

    with relaying():
        wait_until(lambda: not queue.depth().pending)

    landed = {record.key: record.partition for record in read_back(topics=["analytics.events"]) if record.key in keys}
    assert partitions > 1
    assert landed == {key: murmur2(key) % partitions for key in keys}
