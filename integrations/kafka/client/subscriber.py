"""The members of consumer groups, and a look at what the broker still has."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import methodcaller
from threading import Thread
from typing import Any

import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition
from django.conf import settings

from integrations.kafka import metrics
from integrations.kafka.client.connection import METADATA_SECONDS, Reach, library_log, options
from integrations.kafka.errors import BrokerError

log = structlog.get_logger(__name__)

# More than the five the library waits for an answer, less than the ten a container runtime gives a process to end.
LEAVE_SECONDS = 8.0

# For a header's name that is not UTF-8 the library returns a broken list, with an exception set. A call from C is
# checked for that. `message.headers()` is not, once CPython has specialised it: reading the list kills the process.
_headers_of = methodcaller("headers")


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One record as the broker handed it over."""

    topic: str
    partition: int
    offset: int
    key: bytes
    value: bytes
    headers: dict[str, bytes]
    # Why nobody can read it, where the library itself cannot.
    flaw: str = ""


class Subscriber:
    """One member of a consumer group; commits only what it is told has been handled."""

    def __init__(self, *, group: str, topics: Sequence[str], assigned: Callable[[], None]) -> None:
        self._group = group
        self._reach = Reach(who=group)
        self._assigned = assigned
        self._done: dict[tuple[str, int], int] = {}
        self._placeless: list[TopicPartition] = []
        wanted = options(
            **self._reach.options,
            **{
                "group.id": group,
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                # Neither end is chosen in silence: see `_on_assign` and `_begin`.
                "auto.offset.reset": "error",
                "partition.assignment.strategy": "cooperative-sticky",
                "session.timeout.ms": settings.KAFKA_SESSION_TIMEOUT_MS,
                "heartbeat.interval.ms": settings.KAFKA_SESSION_TIMEOUT_MS // 4,
                "topic.metadata.refresh.interval.ms": 10_000,
                "fetch.wait.max.ms": 100,
            },
        )
        # From nothing to one is no increase for Prometheus: the first gap would not be seen.
        metrics.consumer_gaps.labels(group)
        self._consumer = Consumer(wanted, logger=library_log)
        self._consumer.subscribe(list(topics), on_assign=self._on_assign, on_revoke=self._on_revoke)

    def receive(self, *, limit: int, seconds: float) -> list[Received]:
        """Return up to `limit` records: waits `seconds` for the first one, and 5 ms more for its companions.

        BrokersLost: only another subscriber can receive anything more.
        """
        self._reach.check()
        messages: list[Message] = self._consumer.consume(1, seconds)
        if messages:
            messages += self._consumer.consume(limit - 1, 0.005)
            self._reach.reached()
        self._placeless += [_place(message) for message in messages if _has_no_place(message)]
        if self._placeless:
            self._begin()
        return [_received(message) for message in messages if not _is_notice(message)]

    def done(self, records: Iterable[Received]) -> None:
        """Commit the offsets after these records; a commit that is lost costs repeats, which the inbox catches."""
        after = {(record.topic, record.partition): record.offset + 1 for record in records}
        self._done |= after
        self._consumer.commit(offsets=_places(after), asynchronous=True)

    def keep_membership(self, seconds: float) -> None:
        """Wait without receiving, yet stay a member of the group: the database is away, the partitions are ours."""
        held = self._consumer.assignment()
        self._consumer.pause(held)
        for message in self._consumer.consume(1, seconds):
            # A partition that came in while waiting is not paused yet: give the record back.
            if _has_no_place(message):
                self._placeless.append(_place(message))
            elif message.error() is None:
                record = _received(message)
                self._consumer.seek(TopicPartition(record.topic, record.partition, record.offset))
        self._consumer.resume(self._consumer.assignment())

    def lag(self) -> int:
        """Return how many records of its partitions it has not received yet, as far as the last answers tell."""
        behind = 0
        for place in self._consumer.position(self._consumer.assignment()):
            _low, high = self._consumer.get_watermark_offsets(place, cached=True)
            if place.offset >= 0 and high > place.offset:
                behind += high - place.offset
        return behind

    def close(self) -> None:
        """Leave the group, the last commits made sure of first; after LEAVE_SECONDS without an answer, just go.

        With a commit under way the library waits for a coordinator for ever, also where there can be none any more
        (https://github.com/confluentinc/librdkafka/issues/3740). The group then notices by itself that we are gone.
        """
        leaving = Thread(target=self._consumer.close, daemon=True)
        leaving.start()
        leaving.join(LEAVE_SECONDS)
        if leaving.is_alive():
            log.warning("kafka.left_unheard", group=self._group)

    def _begin(self) -> None:
        """Begin partitions, of which the broker has no record at the group's offset, at the oldest record it has.

        The group has missed something, or the broker has: that is said aloud. Standing still would not bring it back;
        `replay_events` finds in the log what was missed.
        """
        held = [place for place in self._consumer.assignment() if place in self._placeless]
        if not held:
            self._placeless.clear()
            return
        try:
            for known in self._consumer.committed(held, timeout=METADATA_SECONDS):
                if known.offset >= 0:
                    self._say_gap(known)
        except KafkaException as error:
            log.warning("kafka.offsets_unknown", group=self._group, reason=str(error))
            return
        # A seek is refused here: the library has not begun to fetch.
        self._consumer.incremental_unassign(held)
        self._consumer.incremental_assign([TopicPartition(at.topic, at.partition, OFFSET_BEGINNING) for at in held])
        self._placeless.clear()

    def _say_gap(self, wanted: TopicPartition) -> None:
        oldest, following = self._consumer.get_watermark_offsets(wanted, timeout=METADATA_SECONDS)
        metrics.consumer_gaps.labels(self._group).inc()
        log.error(
            "kafka.gap",
            group=self._group,
            place=f"{wanted.topic}/{wanted.partition}",
            wanted=wanted.offset,
            oldest=oldest,
            following=following,
        )

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Take partitions on; those in which the group has no offset yet are begun at their oldest record."""
        try:
            known = consumer.committed(partitions, timeout=METADATA_SECONDS) if partitions else []
        except KafkaException as error:
            # They are taken on all the same, and `_begin` asks again.
            log.warning("kafka.offsets_unknown", group=self._group, reason=str(error))
            known = []
        new = {(place.topic, place.partition) for place in known if place.offset < 0}
        for place in partitions:
            if (place.topic, place.partition) in new:
                place.offset = OFFSET_BEGINNING
        consumer.incremental_assign(partitions)
        self._assigned()

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Commit what was handled before partitions leave, and wait for no answer: whoever is silent, we go on."""
        leaving = {(place.topic, place.partition) for place in partitions}
        if after := {place: self._done.pop(place) for place in leaving & self._done.keys()}:
            consumer.commit(offsets=_places(after), asynchronous=True)


def _places(offsets: Mapping[tuple[str, int], int]) -> list[TopicPartition]:
    return [TopicPartition(topic, partition, offset) for (topic, partition), offset in offsets.items()]


def _has_no_place(message: Message) -> bool:
    error = message.error()
    return error is not None and error.code() == KafkaError._AUTO_OFFSET_RESET


def _place(message: Message) -> TopicPartition:
    place: tuple[Any, Any] = (message.topic(), message.partition())
    return TopicPartition(*place)


def _is_notice(message: Message) -> bool:
    error = message.error()
    if error is None:
        return False
    if error.fatal():
        raise BrokerError(str(error))
    if not _has_no_place(message):
        log.warning("kafka.notice", error=error.name(), detail=error.str())
    return True


def _received(message: Message) -> Received:
    # The library types all of these as optional, since a notice has none of them.
    place: tuple[Any, Any, Any] = (message.topic(), message.partition(), message.offset())
    headers, flaw = _headers(message)
    return Received(
        topic=place[0],
        partition=place[1],
        offset=place[2],
        key=_bytes(message.key()),
        value=_bytes(message.value()),
        headers=headers,
        flaw=flaw,
    )


def _headers(message: Message) -> tuple[dict[str, bytes], str]:
    """Return the headers, or none and the reason: the library decodes their names, and fails on what is not UTF-8."""
    try:
        named: Any = _headers_of(message) or ()
    except (SystemError, UnicodeDecodeError) as error:
        return {}, f"The names of its headers are not UTF-8: {error.__cause__ or error}"
    return {name: value or b"" for name, value in named}, ""


def _bytes(part: str | bytes | None) -> bytes:
    return part.encode() if isinstance(part, str) else part or b""


def read_back(*, topics: Sequence[str], seconds: float = 60.0) -> Iterator[Received]:
    """Yield what the broker still has of these topics, by partition; joins no group.

    BrokerError when that takes longer than `seconds`: a part would look like the whole.
    """
    reader = Consumer(options(**{"group.id": "read-back", "enable.partition.eof": True}), logger=library_log)
    try:
        described = reader.list_topics(timeout=METADATA_SECONDS).topics
        places = [TopicPartition(topic, at, OFFSET_BEGINNING) for topic in topics for at in described[topic].partitions]
        reader.assign(places)
        # A partition comes to its end anew with every record that is added meanwhile.
        unread = {(place.topic, place.partition) for place in places}
        deadline = time.monotonic() + seconds
        while unread:
            if time.monotonic() >= deadline:
                raise BrokerError(f"{len(unread)} partitions were not read to their end within {seconds:g} seconds.")
            for message in reader.consume(500, 0.05):
                error = message.error()
                if error is None:
                    yield _received(message)
                elif error.code() == KafkaError._PARTITION_EOF:
                    unread.discard((message.topic(), message.partition()))
    finally:
        reader.close()
