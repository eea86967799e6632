"""What the one producer and its records are, whoever else produces or listens."""

import struct
from typing import Any
from uuid import UUID

import pytest
from confluent_kafka import Producer

from integrations.kafka.client import Publisher, partition_counts, publisher, read_back
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
