"""Endpoints: made, given a new secret, tried, disabled and enabled, removed."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError

from notifications.dto import DeliveryView, EndpointView
from notifications.errors import (
    WebhookEndpointDisabled,
    WebhookEndpointExists,
    WebhookNotFound,
    WebhookUrlNotAllowed,
)
from notifications.models import WebhookDelivery, WebhookEndpoint
from notifications.ports import AddressRefused
from notifications.queries.webhooks import delivery, endpoint_view
from notifications.services.webhooks import writing
from notifications.services.webhooks.filters import checked
from notifications.services.webhooks.secrets import new_seed, secret_of
from notifications.services.webhooks.sending import check_address
from notifications.states import DeliveryState, DisabledBecause, EndpointState, check_endpoint_move
from shop.kernel.ids import new_id
from shop.kernel.tasks import wake_for_all
from shop.kernel.tracing import current_trace
from shop.kernel.transactions import forbid_unit_of_work, unit_of_work

PING = "webhook.ping"


def create_endpoint(
    *, url: str, events: Sequence[str], description: str, created_by: str, now: datetime
) -> EndpointView:
    """Make an endpoint and return it with its secret, which nothing shows again.

    WebhookUrlNotAllowed, UnknownEventType; WebhookEndpointExists where the address is known already.
    """
    forbid_unit_of_work("Resolving a name")
    patterns = checked(events=events)
    try:
        check_address(url=url)
    except AddressRefused as refused:
        raise WebhookUrlNotAllowed(reason=str(refused)) from refused
    return _create(url, patterns, description, created_by, now=now)


@unit_of_work
def rotate_secret(*, endpoint_id: UUID, now: datetime) -> EndpointView:
    """Give the endpoint a new secret and return it with that; the old one signs as well for a while."""
    row = _locked(endpoint_id)
    row.previous_seed, row.seed = row.seed, new_seed()
    row.secret_since = _in_milliseconds(now)
    row.previous_until = now + timedelta(hours=settings.WEBHOOK_SECRET_OVERLAP_HOURS)
    row.save(update_fields=["seed", "secret_since", "previous_seed", "previous_until"])
    return replace(endpoint_view(row, now=now), secret=secret_of(seed=row.seed))


def secret_made_at(*, endpoint_id: UUID, since: datetime) -> str | None:
    """Return the secret that was made at this very instant, for a repeated request; None when it was replaced."""
    row = WebhookEndpoint.objects.filter(pk=endpoint_id, secret_since=since).exclude(seed="").first()
    return secret_of(seed=row.seed) if row else None


@unit_of_work
def ping_endpoint(*, endpoint_id: UUID, now: datetime) -> DeliveryView:
    """Send the endpoint a `webhook.ping`, whatever it listens to, and return its delivery.

    Whoever asks expects an answer: a pause of the circuit ends. WebhookEndpointDisabled.
    """
    row = _locked(endpoint_id)
    require_active(row)
    event_id = new_id()
    body = writing.body_of(
        event_id=event_id, type_name=PING, version=1, at=now, data={"endpoint_id": str(row.pk), "url": row.url}
    )
    writing.insert(
        [(new_id(), row.pk, event_id, PING, row.pk, body, current_trace().correlation_id, now, now)]
    )  # fmt: skip
    end_pause(row)
    return delivery(delivery_id=WebhookDelivery.objects.values_list("pk", flat=True).get(event_id=event_id))


@unit_of_work
def disable_endpoint(*, endpoint_id: UUID, now: datetime) -> None:
    """Tell the endpoint nothing more, because a person says so; what waits goes on waiting."""
    row = _locked(endpoint_id)
    check_endpoint_move(current=EndpointState(row.state), wanted=EndpointState.DISABLED)
    row.disabled_at = row.disabled_at or now
    row.state, row.disabled_because = EndpointState.DISABLED.value, DisabledBecause.BY_HAND.value
    row.save(update_fields=["state", "disabled_because", "disabled_at"])


@unit_of_work
def enable_endpoint(*, endpoint_id: UUID) -> None:
    """Tell the endpoint events again, first those that wait; IllegalTransition when it is enabled."""
    row = _locked(endpoint_id)
    check_endpoint_move(current=EndpointState(row.state), wanted=EndpointState.ACTIVE)
    row.state, row.disabled_because, row.disabled_at = EndpointState.ACTIVE.value, "", None
    row.failures, row.failing_since, row.paused_until = 0, None, None
    row.save(
        update_fields=["state", "disabled_because", "disabled_at", "failures", "failing_since", "paused_until"]
    )  # fmt: skip
    wake_for_all("notifications.tasks.send_webhooks")


@unit_of_work
def remove_endpoint(*, endpoint_id: UUID, now: datetime) -> None:
    """Forget the endpoint and its secrets; what waits for it is dead, what it was told stays known. WebhookNotFound."""
    row = _locked(endpoint_id)
    check_endpoint_move(current=EndpointState(row.state), wanted=EndpointState.REMOVED)
    row.state, row.disabled_because, row.disabled_at = EndpointState.REMOVED.value, "", None
    row.seed, row.previous_seed, row.previous_until = "", "", None
    row.save(
        update_fields=["state", "disabled_because", "disabled_at", "seed", "previous_seed", "previous_until"]
    )  # fmt: skip
    WebhookDelivery.objects.filter(endpoint=row, state=DeliveryState.PENDING).update(
        state=DeliveryState.DEAD, next_attempt_at=None, settled_at=now, last_error="The endpoint was removed."
    )


@unit_of_work
def _create(url: str, events: list[str], description: str, created_by: str, *, now: datetime) -> EndpointView:
    row = WebhookEndpoint(
        url=url,
        events=events,
        description=description,
        created_by=created_by,
        seed=new_seed(),
        secret_since=_in_milliseconds(now),
        created_at=now,
    )
    try:
        row.save(force_insert=True)
    except IntegrityError as error:
        if "notifications_endpoint_url" in str(error):
            raise WebhookEndpointExists from error
        raise
    return replace(endpoint_view(row, now=now), secret=secret_of(seed=row.seed))


def _locked(endpoint_id: UUID) -> WebhookEndpoint:
    rows = WebhookEndpoint.objects.select_for_update(no_key=True).exclude(state=EndpointState.REMOVED)
    row = rows.filter(pk=endpoint_id).first()
    if row is None:
        raise WebhookNotFound(entity="webhook endpoint")
    return row


def _in_milliseconds(instant: datetime) -> datetime:
    # As answers write it: whoever repeats a request is known by the instant its answer named.
    return instant.replace(microsecond=instant.microsecond // 1_000 * 1_000)


def require_active(row: WebhookEndpoint) -> None:
    """Raise WebhookEndpointDisabled unless the endpoint is told things."""
    if row.state != EndpointState.ACTIVE:
        raise WebhookEndpointDisabled(because=row.disabled_because)


def end_pause(row: WebhookEndpoint) -> None:
    """Let the next delivery find out how the endpoint is: a person asks for it."""
    if row.paused_until is not None:
        row.paused_until = None
        row.save(update_fields=["paused_until"])
