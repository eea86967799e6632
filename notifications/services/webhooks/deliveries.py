"""Deliveries: made again because a person asks, and forgotten when nobody needs them any more."""

from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction

from notifications import metrics
from notifications.dto import DeliveryView
from notifications.errors import WebhookBodyForgotten, WebhookNotFound
from notifications.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from notifications.queries.webhooks import delivery
from notifications.services.webhooks.endpoints import end_pause, require_active
from notifications.states import DeliveryState, EndpointState
from shop.kernel.errors import IllegalTransition
from shop.kernel.tasks import wake_for_all
from shop.kernel.transactions import unit_of_work

# The event log goes by weeks: an event may come again (by a replay) for so long after it is old enough to go.
_LOG_MARGIN = timedelta(days=14)
_FORGOTTEN_AT_ONCE = 5_000

_EMPTY = """
WITH old AS (
    SELECT id FROM notifications_webhook_delivery WHERE settled_at < %s AND body <> '' ORDER BY settled_at LIMIT %s
), emptied AS (
    DELETE FROM notifications_webhook_attempt WHERE delivery_id IN (SELECT id FROM old)
)
UPDATE notifications_webhook_delivery SET body = '' WHERE id IN (SELECT id FROM old)
"""


@unit_of_work
def redeliver(*, delivery_id: UUID, now: datetime) -> DeliveryView:
    """Send a delivery again, now, under the same webhook-id, and return it.

    One that waits for a later attempt is brought forward; IllegalTransition for one that is being sent this moment.
    WebhookNotFound, WebhookEndpointDisabled, WebhookBodyForgotten.
    """
    found = WebhookDelivery.objects.filter(pk=delivery_id).values_list("endpoint_id", flat=True).first()
    # First the endpoint, then the delivery: as whoever sends locks them.
    endpoint = WebhookEndpoint.objects.select_for_update(no_key=True).filter(pk=found).first() if found else None
    row = WebhookDelivery.objects.select_for_update(no_key=True).filter(pk=delivery_id).first()
    if endpoint is None or row is None or endpoint.state == EndpointState.REMOVED:
        raise WebhookNotFound(entity="delivery")
    require_active(endpoint)
    if not row.body:
        raise WebhookBodyForgotten
    if endpoint.busy_with == row.pk and endpoint.busy_until is not None and endpoint.busy_until > now:
        raise IllegalTransition(entity="A delivery on its way", current=row.state, wanted=DeliveryState.PENDING)
    row.state, row.next_attempt_at, row.settled_at = DeliveryState.PENDING.value, now, None
    row.attempts, row.redeliveries = 0, row.redeliveries + 1
    row.save(update_fields=["state", "next_attempt_at", "settled_at", "attempts", "redeliveries"])
    end_pause(endpoint)
    transaction.on_commit(metrics.webhooks.labels("redelivered").inc)
    wake_for_all("notifications.tasks.send_webhooks")
    return delivery(delivery_id=delivery_id)


@unit_of_work
def forget_old(*, now: datetime) -> int:
    """Empty what was sent and answered WEBHOOK_BODIES_KEPT_DAYS ago, and return how many bodies that were.

    What waited so long for a disabled endpoint is given up; rows whose events cannot come again are dropped.
    """
    old = now - timedelta(days=settings.WEBHOOK_BODIES_KEPT_DAYS)
    WebhookDelivery.objects.filter(
        state=DeliveryState.PENDING, endpoint__state=EndpointState.DISABLED, created_at__lt=old
    ).update(
        state=DeliveryState.DEAD,
        next_attempt_at=None,
        settled_at=now,
        last_error="The endpoint was disabled for too long.",
    )
    with connection.cursor() as cursor:
        cursor.execute(_EMPTY, [old, _FORGOTTEN_AT_ONCE])
        emptied: int = cursor.rowcount
    _drop(before=now - max(timedelta(days=settings.EVENT_LOG_KEPT_DAYS) + _LOG_MARGIN, now - old))
    return emptied


def _drop(*, before: datetime) -> None:
    settled = WebhookDelivery.objects.filter(created_at__lt=before).exclude(state=DeliveryState.PENDING)
    ids = list(settled.order_by("created_at").values_list("pk", flat=True)[:_FORGOTTEN_AT_ONCE])
    WebhookAttempt.objects.filter(delivery_id__in=ids).delete()
    WebhookDelivery.objects.filter(pk__in=ids).delete()
