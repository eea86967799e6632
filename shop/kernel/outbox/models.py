from typing import ClassVar

from django.db import models


class Aggregate(models.Model):
    """How many events one aggregate has told. Its row lock orders them."""

    pk = models.CompositePrimaryKey("aggregate", "key")
    aggregate = models.TextField()
    key = models.UUIDField()
    sequence = models.BigIntegerField()

    class Meta:
        db_table = "outbox_aggregate"

    def __str__(self) -> str:
        return f"{self.aggregate} {self.key}: {self.sequence}"


class LoggedEvent(models.Model):
    """A fact, kept as it was told. The table is partitioned by `id` and nothing in it is ever changed."""

    id = models.UUIDField(primary_key=True)
    topic = models.TextField()
    type = models.TextField()
    aggregate = models.TextField()
    key = models.UUIDField()
    sequence = models.BigIntegerField()
    payload = models.JSONField()
    headers = models.JSONField()
    occurred_at = models.DateTimeField()

    class Meta:
        db_table = "event_log"
        ordering: ClassVar = ["id"]
        indexes: ClassVar = [models.Index(fields=["key"], name="event_log_key")]

    def __str__(self) -> str:
        return f"{self.type} {self.id}"


class PendingEvent(models.Model):
    """An event Kafka has not acknowledged. The relay deletes the row when it has.

    A `failed` row is one Kafka will never take; it holds back the later events of its key, and of no other.
    """

    class State(models.TextChoices):
        PENDING = "pending"
        FAILED = "failed"

    position = models.BigAutoField(primary_key=True)
    event_id = models.UUIDField()
    key = models.UUIDField()
    shard = models.SmallIntegerField()
    state = models.TextField(choices=State, default=State.PENDING, db_default=State.PENDING)
    attempts = models.IntegerField(default=0, db_default=0)
    last_error = models.TextField(default="", db_default="", blank=True)
    # Of an event that a replay sends once more: which replay, and the one consumer that is to take it.
    replay_id = models.UUIDField(null=True)
    replay_target = models.TextField(default="", db_default="", blank=True)

    class Meta:
        db_table = "outbox_pending"
        ordering: ClassVar = ["position"]
        indexes: ClassVar = [
            models.Index(fields=["key"], condition=models.Q(state="failed"), name="outbox_pending_failed"),
        ]

    def __str__(self) -> str:
        return f"{self.position}: {self.event_id}"
