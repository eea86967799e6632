from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from notifications.states import DeliveryState, DisabledBecause, EndpointState
from shop.kernel.ids import new_id


class WebhookEndpoint(models.Model):
    """Where a merchant's system is told of events, and how it fares.

    It holds no secret: what signs is derived from `seed` and a key of the settings. A removed endpoint stays as a row
    without seeds, for its deliveries.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    url = models.TextField()
    description = models.TextField(default="", db_default="", blank=True)
    # Such as `order.paid`, `payment.*`, `*`.
    events = ArrayField(models.TextField())
    seed = models.TextField()
    secret_since = models.DateTimeField()
    # Signs as well until then, so that a new secret can be brought to the receiver in peace.
    previous_seed = models.TextField(default="", db_default="")
    previous_until = models.DateTimeField(null=True)
    state = models.TextField(
        choices=[(state.value, state.value) for state in EndpointState],
        default=EndpointState.ACTIVE.value,
        db_default=EndpointState.ACTIVE.value,
    )
    disabled_because = models.TextField(
        choices=[(reason.value, reason.value) for reason in DisabledBecause], default="", db_default="", blank=True
    )
    disabled_at = models.DateTimeField(null=True)
    # In a row; a success ends the row.
    failures = models.IntegerField(default=0, db_default=0)
    failing_since = models.DateTimeField(null=True)
    paused_until = models.DateTimeField(null=True)
    # One delivery at a time: which, and until when whoever sends it is not given up for lost.
    busy_with = models.UUIDField(null=True)
    busy_until = models.DateTimeField(null=True)
    served_at = models.DateTimeField(null=True)
    created_by = models.TextField()
    created_at = models.DateTimeField()

    class Meta:
        db_table = "notifications_webhook_endpoint"
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["url"], condition=~Q(state=EndpointState.REMOVED.value), name="notifications_endpoint_url"
            ),
            models.CheckConstraint(
                name="notifications_endpoint_state_known",
                condition=Q(state__in=[state.value for state in EndpointState]),
            ),
            models.CheckConstraint(
                name="notifications_endpoint_disabled_for_a_reason",
                condition=Q(state=EndpointState.DISABLED.value, disabled_at__isnull=False)
                & Q(disabled_because__in=[reason.value for reason in DisabledBecause])
                | ~Q(state=EndpointState.DISABLED.value) & Q(disabled_because=""),
            ),
            models.CheckConstraint(
                name="notifications_endpoint_seed_until_removed",
                condition=~Q(seed="") | Q(state=EndpointState.REMOVED.value),
            ),
        ]

    def __str__(self) -> str:
        return self.url


class WebhookDelivery(models.Model):
    """One event for one endpoint, written in the transaction that handles the event, sent later.

    The row is the gate: an event is told to an endpoint once, however often it comes. `body` is what is signed, the
    very same bytes at every attempt; it is emptied after a while, the row stays as long as the event can come again.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    endpoint = models.ForeignKey(WebhookEndpoint, on_delete=models.CASCADE, related_name="deliveries", db_index=False)
    event_id = models.UUIDField()
    type = models.TextField()
    # What the event is about: an order's id wherever there is one.
    subject = models.UUIDField()
    body = models.TextField()
    correlation_id = models.TextField(default="", db_default="")
    state = models.TextField(
        choices=[(state.value, state.value) for state in DeliveryState],
        default=DeliveryState.PENDING.value,
        db_default=DeliveryState.PENDING.value,
    )
    # Since a person asked last; counted when an attempt begins, so that a killed one counts.
    attempts = models.IntegerField(default=0, db_default=0)
    redeliveries = models.IntegerField(default=0, db_default=0)
    next_attempt_at = models.DateTimeField(null=True)
    last_status = models.IntegerField(null=True)
    last_error = models.TextField(default="", db_default="")
    created_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "notifications_webhook_delivery"
        verbose_name_plural = "webhook deliveries"
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["event_id", "endpoint"], name="notifications_delivery_once_per_event"),
            models.CheckConstraint(
                name="notifications_delivery_state_known",
                condition=Q(state__in=[state.value for state in DeliveryState]),
            ),
            models.CheckConstraint(
                name="notifications_delivery_due_while_pending",
                condition=Q(state=DeliveryState.PENDING.value, next_attempt_at__isnull=False, settled_at__isnull=True)
                | ~Q(state=DeliveryState.PENDING.value) & Q(next_attempt_at__isnull=True, settled_at__isnull=False),
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["endpoint", "next_attempt_at"],
                condition=Q(state=DeliveryState.PENDING.value),
                name="notifications_delivery_due",
            ),
            models.Index(
                fields=["state"], condition=~Q(state=DeliveryState.DELIVERED.value), name="notifications_delivery_open"
            ),
            models.Index(fields=["endpoint", "-id"], name="notifications_delivery_newest"),
            models.Index(fields=["subject"], name="notifications_delivery_about"),
            models.Index(fields=["settled_at"], condition=~Q(body=""), name="notifications_delivery_bodies"),
            models.Index(fields=["created_at"], name="notifications_delivery_made"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.event_id}"


class WebhookAttempt(models.Model):
    """One attempt at a delivery: what was sent, without its signature, and what came back, cut short."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    delivery = models.ForeignKey(WebhookDelivery, on_delete=models.CASCADE, related_name="log")
    at = models.DateTimeField()
    url = models.TextField()
    request_headers = models.JSONField(default=dict)
    status = models.IntegerField(null=True)
    answer = models.TextField(default="", db_default="")
    error = models.TextField(default="", db_default="")
    duration_ms = models.IntegerField()

    class Meta:
        db_table = "notifications_webhook_attempt"
        ordering: ClassVar = ["id"]

    def __str__(self) -> str:
        return f"{self.status or self.error} at {self.at:%Y-%m-%d %H:%M:%S}"
