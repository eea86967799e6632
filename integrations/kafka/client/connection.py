"""What all clients are told about the brokers, and what they notice of them."""

import logging
from collections.abc import Mapping
from typing import Any

import msgspec
import structlog
from confluent_kafka import KafkaError
from django.conf import settings

from integrations.kafka.errors import BrokersLost

log = structlog.get_logger(__name__)

# librdkafka repeats itself every second while a broker is away; what matters arrives through `error_cb`.
library_log = logging.getLogger("librdkafka")
library_log.setLevel(logging.CRITICAL)

METADATA_SECONDS = 10.0

LOOK_MS = 5_000
# What librdkafka counts beside the brokers it was told of: itself, and the coordinator of its group.
_NO_BROKERS = frozenset({"internal", "logical"})


class _Broker(msgspec.Struct):
    source: str


class _Figures(msgspec.Struct):
    brokers: Mapping[str, _Broker]


def options(**own: Any) -> dict[str, Any]:
    """Return librdkafka's options: where the brokers are, what the shop wants of every client, and `own`."""
    return {
        "bootstrap.servers": settings.KAFKA_BOOTSTRAP_SERVERS,
        "log.connection.close": False,
        "reconnect.backoff.max.ms": 2_000,
        **settings.KAFKA_OPTIONS,
        **own,
    }


def knows_no_broker(figures: str) -> bool:
    """Say whether a client has neither a broker nor a bootstrap server left, by librdkafka's figures (JSON)."""
    brokers = msgspec.json.decode(figures, type=_Figures).brokers.values()
    return all(broker.source in _NO_BROKERS for broker in brokers)


class Reach:
    """Says once that the brokers are away, and once that they are back; notices a client that has forgotten them all.

    A broker that is just starting may answer that the cluster has no broker. librdkafka (since 2.10; seen with 2.16)
    believes it, drops all it knew, and asks nobody again, its bootstrap servers neither: such a client never comes
    back by itself (https://github.com/confluentinc/librdkafka/issues/5301).
    """

    def __init__(self, *, who: str) -> None:
        self._who = who
        self._is_away, self._is_lost, self.notices = False, False, 0

    @property
    def options(self) -> dict[str, Any]:
        """What a client has to be told so that this hears of it."""
        return {"error_cb": self.heard, "statistics.interval.ms": LOOK_MS, "stats_cb": self.looked}

    def reached(self) -> None:
        """Note that a broker has answered."""
        if self._is_away:
            self._is_away = False
            log.info("kafka.back", who=self._who)

    def check(self) -> None:
        """Raise BrokersLost when the client knows no broker any more, so that it is replaced."""
        if self._is_lost:
            raise BrokersLost("The client knows no broker any more.")

    def heard(self, error: KafkaError) -> None:
        """Take in an error of the library."""
        self.notices += 1
        if error.code() == KafkaError._ALL_BROKERS_DOWN and not self._is_away:
            self._is_away = True
            log.warning("kafka.away", who=self._who)

    def looked(self, figures: str) -> None:
        """Take in what the library counts."""
        self.notices += 1
        self._is_lost = knows_no_broker(figures)
