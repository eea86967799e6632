from typing import ClassVar

from django.db import models

from shop.kernel.ids import new_id


class Relay(models.Model):
    """A relay that is alive: it says so every second, and is taken for dead once `expires_at` has passed."""

    token = models.UUIDField(primary_key=True, default=new_id)
    host = models.TextField()
    pid = models.IntegerField()
    started_at = models.DateTimeField()
    expires_at = models.DateTimeField()

    class Meta:
        db_table = "kafka_relay"

    def __str__(self) -> str:
        return f"{self.host}:{self.pid}"


class Lease(models.Model):
    """A shard of the queue and the relay that alone reads it; the lease lasts as long as that relay is alive."""

    shard = models.SmallIntegerField(primary_key=True)
    owner = models.UUIDField(null=True)

    class Meta:
        db_table = "kafka_lease"

    def __str__(self) -> str:
        return f"{self.shard}: {self.owner}"


class Inbox(models.Model):
    """An event this consumer has handled. Written with the effect, in one transaction: there is no second effect."""

    pk = models.CompositePrimaryKey("consumer", "event_id")
    consumer = models.TextField()
    event_id = models.UUIDField()
    handled_at = models.DateTimeField()

    class Meta:
        db_table = "kafka_inbox"
        verbose_name_plural = "inbox"

    def __str__(self) -> str:
        return f"{self.consumer}: {self.event_id}"


class Parked(models.Model):
    """An event a consumer could not handle, or one that waits behind such an event of the same key.

    The lowest id of a consumer and key is the next to be tried. `dead` rows hold nobody back: they wait for a
    person, who looks at the reason and sends them again, or leaves them at that: `dismissed`.
    """

    class State(models.TextChoices):
        WAITING = "waiting"
        DEAD = "dead"
        DISMISSED = "dismissed"

    consumer = models.TextField()
    event_id = models.UUIDField()
    type = models.TextField()
    key = models.TextField()
    topic = models.TextField()
    value = models.BinaryField()
    headers = models.JSONField()
    state = models.TextField(choices=State, default=State.WAITING)
    attempts = models.IntegerField(default=0)
    next_attempt_at = models.DateTimeField()
    last_error = models.TextField(default="", blank=True)
    parked_at = models.DateTimeField()

    class Meta:
        db_table = "kafka_parked"
        verbose_name = "parked event"
        ordering: ClassVar = ["id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["consumer", "event_id"], name="kafka_parked_once"),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["consumer", "key", "id"], condition=models.Q(state="waiting"), name="kafka_parked_waiting"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.consumer}: {self.type} {self.event_id}"


class Replay(models.Model):
    """Who sent past events again, which ones, why, and what came of it."""

    id = models.UUIDField(primary_key=True, default=new_id)
    who = models.TextField()
    reason = models.TextField()
    mode = models.TextField()
    consumers = models.JSONField()
    # What handling the events may do outside the shop.
    effects = models.JSONField(default=list, db_default=[])
    selection = models.JSONField()
    expected = models.IntegerField()
    delivered = models.IntegerField(default=0)
    repeated = models.IntegerField(default=0)
    parked = models.IntegerField(default=0)
    # Figures that a rebuild found wrong.
    mended = models.IntegerField(default=0, db_default=0)
    # The last event of the log that is done with: where an interrupted replay goes on.
    after = models.UUIDField(null=True)
    outcome = models.TextField(default="running")
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "kafka_replay"
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return f"{self.started_at:%Y-%m-%d %H:%M} {self.who}: {self.outcome}"
