"""The one producer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from integrations.kafka.client.connection import Reach, library_log, options
from integrations.kafka.errors import BrokerError, Refused

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

Headers = Sequence[tuple[str, bytes]]
# Called once for each record with None, or with the error that `failure_of` explains.
Report = Callable[[Any, Any], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a record was not taken; a `permanent` one will not be taken later either."""

    reason: str
    permanent: bool


def failure_of(error: Any) -> Failure:
    """Explain the error that a report carried."""
    return Failure(reason=f"{error.name()}: {error.str()}", permanent=error.code() in _REFUSALS)


class Publisher:
    """An idempotent producer: for one key, records reach the log in the order in which they are sent here."""

    def __init__(self, *, linger_ms: int = 5) -> None:
        self._reach = Reach(who="publisher")
        wanted = options(
            **self._reach.options,
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
            },
        )
        self._producer = Producer(wanted, logger=library_log)

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
        """Call the reports that are due, waiting up to `seconds` for the first.

        BrokersLost: only another publisher can send anything more.
        """
        noticed = self._reach.notices
        # What the library notices by itself counts as an event, too.
        if self._producer.poll(seconds) and self._reach.notices == noticed:
            self._reach.reached()
        self._reach.check()

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
