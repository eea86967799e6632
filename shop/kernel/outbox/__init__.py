"""The outbox: an immutable log of every fact and a tiny queue of what Kafka has not acknowledged yet."""
