from typing import ClassVar

from django.db import models
from django.db.models import Q

from payments.states import CallbackState
from shop.kernel.ids import new_id


class Callback(models.Model):
    """The inbox: a gateway's message as it came, verified.

    The gateway repeats callbacks for thirty days; the unique row is the gate. Only the headers that were verified
    are kept.
    """

    id = models.UUIDField(primary_key=True, default=new_id)
    gateway = models.TextField()
    event_id = models.TextField()
    type = models.TextField()
    session_id = models.TextField(blank=True)
    # Set when the message may be about money given back: the payment's refunds are then asked about as well.
    concerns_refunds = models.BooleanField(default=False, db_default=False)
    body = models.BinaryField()
    headers = models.JSONField()
    state = models.TextField(
        choices=[(state.value, state.value) for state in CallbackState],
        default=CallbackState.RECEIVED.value,
        db_default=CallbackState.RECEIVED.value,
    )
    attempts = models.IntegerField(default=0, db_default=0)
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    last_error = models.TextField(default="", db_default="", blank=True)
    received_at = models.DateTimeField()

    class Meta:
        db_table = "payments_callback"
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["gateway", "event_id"], name="payments_callback_event"),
            models.CheckConstraint(
                condition=Q(state__in=[state.value for state in CallbackState]), name="payments_callback_state_known"
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["next_attempt_at"],
                condition=Q(next_attempt_at__isnull=False),
                name="payments_callback_due",
            ),
            models.Index(fields=["gateway", "session_id"], name="payments_callback_session"),
            models.Index(fields=["received_at"], condition=~Q(body=b""), name="payments_callback_bodies"),
            models.Index(
                fields=["state"],
                condition=Q(state__in=["parked", "quarantined", "dead"]),
                name="payments_callback_stuck",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.event_id}"
