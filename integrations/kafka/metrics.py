"""What relay and consumers count."""

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

published = Counter("shop_relay_published_total", "Events Kafka has acknowledged.", ["topic"])
delivery_seconds = Histogram(
    "shop_relay_delivery_seconds", "From the fact to Kafka's acknowledgement, the last of each batch.", buckets=_SECONDS
)
batch_seconds = Histogram("shop_relay_batch_seconds", "From reading a batch to taking it out.", buckets=_SECONDS)
relay_errors = Counter("shop_relay_errors_total", "Interruptions of the relay.", ["kind"])
leases_held = Gauge("shop_relay_leases_held", "Shards this relay reads.")

consumed = Counter(
    "shop_consumer_events_total",
    "Events by what became of them: handled, duplicate, parked, failed_again, dead, skipped, not_for_us.",
    ["group", "type", "outcome"],
)
handle_seconds = Histogram("shop_consumer_batch_seconds", "One batch, commit included.", ["group"], buckets=_SECONDS)
consumer_lag = Gauge("shop_consumer_lag", "Events this group has not received yet, or cannot get done.", ["group"])
consumer_gaps = Counter(
    "shop_consumer_gaps_total", "Partitions in which the broker had no longer what came next for this group.", ["group"]
)
