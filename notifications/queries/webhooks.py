"""Reads of merchants' webhooks."""

from datetime import datetime
from typing import TypeVar
from uuid import UUID

from django.db import connection
from django.db.models import Case, Count, F, Model, Prefetch, Q, QuerySet, TextField, Value, When

from notifications.dto import AttemptView, DeliveryView, EndpointView, WebhookFigures
from notifications.errors import WebhookNotFound
from notifications.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from notifications.states import DeliveryState, DisabledBecause, EndpointState

R = TypeVar("R", bound=Model)

ACTIVE, PAUSED = "active", "paused"

# Endpoints that are well and idle: a backlog behind a slow or failing system is not the shop's delay.
_DUE_SINCE = """
SELECT min(greatest(first.due_at, endpoint.served_at))
FROM notifications_webhook_endpoint AS endpoint
CROSS JOIN LATERAL (
    SELECT min(next_attempt_at) AS due_at FROM notifications_webhook_delivery
    WHERE endpoint_id = endpoint.id AND state = 'pending'
) AS first
WHERE endpoint.state = 'active' AND endpoint.failures = 0 AND first.due_at IS NOT NULL
  AND (endpoint.busy_until IS NULL OR endpoint.busy_until <= now())
"""


def endpoint(*, endpoint_id: UUID, now: datetime) -> EndpointView:
    """Return an endpoint, without its secret; WebhookNotFound."""
    row = _there().filter(pk=endpoint_id).first()
    if row is None:
        raise WebhookNotFound(entity="webhook endpoint")
    return endpoint_view(row, now=now)


def endpoints(*, limit: int, after: UUID | None, before: UUID | None, now: datetime) -> list[EndpointView]:
    """Return endpoints, newest first, without their secrets; with `before` read against that order."""
    return [endpoint_view(row, now=now) for row in _page(_there(), limit=limit, after=after, before=before)]


def deliveries(*, endpoint_id: UUID, limit: int, after: UUID | None, before: UUID | None) -> list[DeliveryView]:
    """Return an endpoint's deliveries with their attempts, newest first; WebhookNotFound."""
    if not WebhookEndpoint.objects.exclude(state=EndpointState.REMOVED).filter(pk=endpoint_id).exists():
        raise WebhookNotFound(entity="webhook endpoint")
    rows = _with_log(WebhookDelivery.objects.filter(endpoint_id=endpoint_id))
    return [_delivery_view(row) for row in _page(rows, limit=limit, after=after, before=before)]


def delivery(*, delivery_id: UUID) -> DeliveryView:
    """Return one delivery with its attempts; WebhookNotFound."""
    row = _with_log(WebhookDelivery.objects.filter(pk=delivery_id)).first()
    if row is None:
        raise WebhookNotFound(entity="delivery")
    return _delivery_view(row)


def webhook_figures(*, now: datetime) -> WebhookFigures:
    """Count deliveries that are not made and endpoints by what they are, each state also where nothing is in it."""
    open_ones = WebhookDelivery.objects.exclude(state=DeliveryState.DELIVERED.value).order_by()
    found = dict(open_ones.values_list("state").annotate(Count("pk")))
    standing = Case(
        When(~Q(disabled_because=""), then=F("disabled_because")),
        When(paused_until__gt=now, then=Value(PAUSED)),
        default=Value(ACTIVE),
        output_field=TextField(),
    )
    counted = dict(_there().order_by().annotate(standing=standing).values_list("standing").annotate(Count("pk")))
    standings = (ACTIVE, PAUSED, *(reason.value for reason in DisabledBecause))
    return WebhookFigures(
        deliveries={state: found.get(state, 0) for state in (DeliveryState.PENDING.value, DeliveryState.DEAD.value)},
        endpoints={word: counted.get(word, 0) for word in standings},
    )


def webhook_due_since() -> datetime | None:
    """Return since when the first delivery waits to be taken up, or when it is due; None when none waits."""
    with connection.cursor() as cursor:
        cursor.execute(_DUE_SINCE)
        ((due,),) = cursor.fetchall()
    found: datetime | None = due
    return found


def endpoint_view(row: WebhookEndpoint, *, now: datetime) -> EndpointView:
    """Return the row as others see it."""
    overlapping = row.previous_until if row.previous_until is not None and row.previous_until > now else None
    return EndpointView(
        endpoint_id=row.pk,
        url=row.url,
        description=row.description,
        events=tuple(row.events),
        state=row.state,
        disabled_because=row.disabled_because,
        failures=row.failures,
        paused_until=row.paused_until if row.paused_until is not None and row.paused_until > now else None,
        secret_since=row.secret_since,
        previous_secret_until=overlapping,
        created_by=row.created_by,
        created_at=row.created_at,
    )


def _there() -> QuerySet[WebhookEndpoint]:
    return WebhookEndpoint.objects.exclude(state=EndpointState.REMOVED)


def _with_log(rows: QuerySet[WebhookDelivery]) -> QuerySet[WebhookDelivery]:
    return rows.prefetch_related(Prefetch("log", queryset=WebhookAttempt.objects.order_by("id")))


def _page(rows: QuerySet[R], *, limit: int, after: UUID | None, before: UUID | None) -> QuerySet[R]:
    if before is not None:
        return rows.filter(pk__gt=before).order_by("pk")[:limit]
    if after is not None:
        rows = rows.filter(pk__lt=after)
    return rows.order_by("-pk")[:limit]


def _delivery_view(row: WebhookDelivery) -> DeliveryView:
    return DeliveryView(
        delivery_id=row.pk,
        endpoint_id=row.endpoint_id,
        event_id=row.event_id,
        type=row.type,
        state=row.state,
        body=row.body,
        attempts=row.attempts,
        redeliveries=row.redeliveries,
        next_attempt_at=row.next_attempt_at,
        created_at=row.created_at,
        settled_at=row.settled_at,
        log=tuple(
            AttemptView(
                at=attempt.at,
                url=attempt.url,
                request_headers=attempt.request_headers,
                status=attempt.status,
                answer=attempt.answer,
                error=attempt.error,
                duration_ms=attempt.duration_ms,
            )
            for attempt in row.log.all()
        ),
    )
