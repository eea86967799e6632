"""The only file that speaks Kafka. Everybody else sends records, receives records and hears about failures."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from django.conf import settings

from integrations.kafka import metrics
from integrations.kafka.errors import BrokerError, Refused

log = structlog.get_logger(__name__)

# librdkafka repeats itself every second while a broker is away; what matters arrives through `error_cb`.
_library_log = logging.getLogger("librdkafka")
_library_log.setLevel(logging.CRITICAL)

_REFUSALS = frozenset(
    {
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.RECORD_LIST_TOO_LARGE,
        KafkaError.INVALID_RECORD,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.TOPIC_EXCEPTION,
        KafkaError.POLICY_VIOLATION,
    }
)
_METADATA_SECONDS = 10.0

Headers = Sequence[tuple[str, bytes]]
# Called once for each record with None, or with the error that `failure_of` explains.
Report = Callable[[Any, Any], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One record as the broker handed it over."""

    topic: str
    partition: int
    offset: int
    key: bytes
    value: bytes
    headers: dict[str, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a record was not taken; a `permanent` one will not be taken later either."""

    reason: str
    permanent: bool


def failure_of(error: Any) -> Failure:
    """Explain the error that a report carried."""
    return Failure(reason=f"{error.name()}: {error.str()}", permanent=error.code() in _REFUSALS)


class _Reach:
    """Says once that the brokers are away, and once that they are back."""

    def __init__(self, *, who: str) -> None:
        self._who = who
        self._away, self.complaints = False, 0

    def heard(self, error: KafkaError) -> None:
        self.complaints += 1
        if error.code() == KafkaError._ALL_BROKERS_DOWN and not self._away:
            self._away = True
            log.warning("kafka.away", who=self._who)

    def reached(self) -> None:
        if self._away:
            self._away = False
            log.info("kafka.back", who=self._who)


def _options(**own: Any) -> dict[str, Any]:
    return {
        "bootstrap.servers": settings.KAFKA_BOOTSTRAP_SERVERS,
        "log.connection.close": False,
        "reconnect.backoff.max.ms": 2_000,
        **settings.KAFKA_OPTIONS,
        **own,
    }


class Publisher:
    """An idempotent producer: for one key, records reach the log in the order in which they are sent here."""

    def __init__(self, *, linger_ms: int = 5) -> None:
        self._reach = _Reach(who="publisher")
        options = _options(
            **{
                "acks": "all",
                "enable.idempotence": True,
                "compression.type": "lz4",
                "linger.ms": linger_ms,
                # What Java clients compute, so that a key keeps its partition whoever produces.
                "partitioner": "murmur2_random",
                # None: a record that is given up locally could be passed by the next one of its key just when the
                # broker comes back.
                "message.timeout.ms": 0,
                "queue.buffering.max.messages": 100_000,
                "error_cb": self._reach.heard,
            }
        )
        self._producer = Producer(options, logger=_library_log)

    def send(self, *, topic: str, key: str, value: bytes, headers: Headers, report: Report) -> None:
        """Hand a record over; `report` is called from `poll` or `flush`. Refused when it can never be sent."""
        try:
            self._producer.produce(topic, value, key, headers=list(headers), on_delivery=report)
        except BufferError:
            self._producer.poll(0.1)
            raise BrokerError("The local queue is full.") from None
        except KafkaException as error:
            failure = failure_of(error.args[0])
            raise (Refused if failure.permanent else BrokerError)(failure.reason) from error

    def poll(self, seconds: float) -> None:
        """Call the reports that are due, waiting up to `seconds` for the first."""
        complaints = self._reach.complaints
        # An error that is heard counts as an event, too.
        if self._producer.poll(seconds) and self._reach.complaints == complaints:
            self._reach.reached()

    def flush(self, seconds: float) -> bool:
        """Send what waits at once, call the reports, and say whether nothing is left."""
        left: int = self._producer.flush(seconds)
        if not left:
            self._reach.reached()
        return left == 0

    def abandon(self) -> None:
        """Drop what is queued or under way; it is sent again, from the database, by another publisher."""
        self._producer.purge()
        self._producer.flush(1)


class Subscriber:
    """One member of a consumer group; commits only what it is told has been handled."""

    def __init__(self, *, group: str, topics: Sequence[str], assigned: Callable[[], None]) -> None:
        self._group = group
        self._reach = _Reach(who=group)
        self._assigned = assigned
        self._done: dict[tuple[str, int], int] = {}
        self._placeless: list[TopicPartition] = []
        options = _options(
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
                "error_cb": self._reach.heard,
            }
        )
        # From nothing to one is no increase for Prometheus: the first gap would not be seen.
        metrics.consumer_gaps.labels(group)
        self._consumer = Consumer(options, logger=_library_log)
        self._consumer.subscribe(list(topics), on_assign=self._on_assign, on_revoke=self._on_revoke)

    def receive(self, *, limit: int, seconds: float) -> list[Received]:
        """Return up to `limit` records: waits `seconds` for the first one, and 5 ms more for its companions."""
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
        """Leave the group; the last commits are made sure of first."""
        self._consumer.close()

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
            for known in self._consumer.committed(held, timeout=_METADATA_SECONDS):
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
        oldest, following = self._consumer.get_watermark_offsets(wanted, timeout=_METADATA_SECONDS)
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
            known = consumer.committed(partitions, timeout=_METADATA_SECONDS) if partitions else []
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
        leaving = {(place.topic, place.partition) for place in partitions}
        after = {place: self._done.pop(place) for place in leaving & self._done.keys()}
        if after:
            try:
                consumer.commit(offsets=_places(after), asynchronous=False)
            except KafkaException as error:
                log.info("kafka.commit_refused", reason=str(error))


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
    headers: Any = message.headers() or ()
    return Received(
        topic=place[0],
        partition=place[1],
        offset=place[2],
        key=_bytes(message.key()),
        value=_bytes(message.value()),
        headers={name: value or b"" for name, value in headers},
    )


def _bytes(part: str | bytes | None) -> bytes:
    return part.encode() if isinstance(part, str) else part or b""


def read_back(*, topics: Sequence[str], seconds: float = 5.0) -> Iterator[Received]:
    """Yield what the broker still has of these topics, by partition, within `seconds`; joins no group."""
    reader = Consumer(_options(**{"group.id": "read-back", "enable.partition.eof": True}), logger=_library_log)
    try:
        described = reader.list_topics(timeout=_METADATA_SECONDS).topics
        places = [TopicPartition(topic, at, OFFSET_BEGINNING) for topic in topics for at in described[topic].partitions]
        reader.assign(places)
        unfinished = len(places)
        deadline = time.monotonic() + seconds
        while unfinished and time.monotonic() < deadline:
            for message in reader.consume(500, 0.05):
                if message.error() is None:
                    yield _received(message)
                else:
                    unfinished -= 1
    finally:
        reader.close()


def partition_counts() -> dict[str, int]:
    """Return how many partitions each topic of the broker has. BrokerError when no broker answers."""
    known = _topics(AdminClient(_options(), logger=_library_log))
    return {name: len(described.partitions) for name, described in known.items()}


def ensure_topics(topics: Iterable[str]) -> Mapping[str, str]:
    """Create the topics that are missing; return what became of each: `there`, `created` or the reason it is not.

    A broker without topic administration (the embedded one) creates a topic when it is asked about it. BrokerError
    when no broker answers.
    """
    admin = AdminClient(_options(), logger=_library_log)
    known = _topics(admin)
    outcome = {topic: "there" for topic in topics if topic in known}
    wanted = [
        NewTopic(topic, settings.KAFKA_TOPIC_PARTITIONS, settings.KAFKA_TOPIC_REPLICATION)
        for topic in topics
        if topic not in known
    ]
    for topic, created in (admin.create_topics(wanted, operation_timeout=10) if wanted else {}).items():
        try:
            created.result()
            outcome[topic] = "created"
        except KafkaException as error:
            outcome[topic] = _touch(admin, topic, refusal=error.args[0])
    return outcome


def _topics(admin: AdminClient) -> Mapping[str, Any]:
    try:
        known: Mapping[str, Any] = admin.list_topics(timeout=_METADATA_SECONDS).topics
    except KafkaException as error:
        raise BrokerError(error.args[0].str()) from error
    return known


def _touch(admin: AdminClient, topic: str, *, refusal: KafkaError) -> str:
    if refusal.code() == KafkaError.TOPIC_ALREADY_EXISTS:
        return "there"
    if refusal.code() != KafkaError._UNSUPPORTED_FEATURE:
        return f"{refusal.name()}: {refusal.str()}"
    described = admin.list_topics(topic, timeout=_METADATA_SECONDS).topics[topic]
    return "created" if described.error is None else f"{described.error}"


@cache
def _asker() -> AdminClient:
    """Keep one connection a process for the question below: probes ask it every few seconds."""
    return AdminClient(_options(), logger=_library_log)


def kafka_reason() -> str | None:
    """Return why Kafka cannot be used, or None."""
    try:
        _asker().list_topics(timeout=2)
    except KafkaException as error:
        return str(error.args[0].str())
    return None
