from typing import ClassVar

from django.db import models

from shop.kernel.ids import new_id


class Key(models.Model):
    """One keyed POST of one caller: under way (`holder` works on it until the lease ends) or answered."""

    class State(models.TextChoices):
        IN_FLIGHT = "in_flight"
        DONE = "done"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    user_id = models.UUIDField()
    method = models.TextField()
    path = models.TextField()
    key = models.TextField()
    body_digest = models.BinaryField()
    state = models.TextField(choices=State)
    # Whoever takes an abandoned key over becomes its holder; the slow one before may come back and finds itself out.
    holder = models.UUIDField()
    lease_expires_at = models.DateTimeField()
    status = models.SmallIntegerField(null=True)
    headers = models.JSONField(default=dict)
    body = models.BinaryField(null=True)
    created_at = models.DateTimeField(db_index=True)

    class Meta:
        db_table = "idempotency_key"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["user_id", "method", "path", "key"], name="idempotency_key_identity"),
            models.CheckConstraint(
                condition=models.Q(state="in_flight") | models.Q(status__isnull=False, body__isnull=False),
                name="idempotency_key_answer",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.method} {self.path} {self.key}"
