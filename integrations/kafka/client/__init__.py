"""The only room that speaks Kafka. Everybody else sends records, receives records and hears about failures."""

from integrations.kafka.client.administration import ensure_topics, kafka_reason, partition_counts
from integrations.kafka.client.publisher import Failure, Headers, Publisher, Report, failure_of
from integrations.kafka.client.subscriber import Received, Subscriber, read_back

__all__ = [
    "Failure",
    "Headers",
    "Publisher",
    "Received",
    "Report",
    "Subscriber",
    "ensure_topics",
    "failure_of",
    "kafka_reason",
    "partition_counts",
    "read_back",
]
