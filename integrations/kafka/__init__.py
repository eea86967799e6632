"""Facts on their way: from the outbox to Kafka, and from Kafka into each context that listens."""
