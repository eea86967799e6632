"""Merchants' webhooks in JSON."""

import json
from typing import Any

from rest_framework import serializers

from notifications.dto import AttemptView, DeliveryView, EndpointView
from notifications.states import DeliveryState, DisabledBecause, EndpointState
from shop.kernel.clock import rfc3339
from shop.kernel.http.serializers import KeptString, StrictSerializer, StrictString

MOST_PATTERNS = 50


class CreateEndpointRequest(StrictSerializer):
    """`POST /internal/webhook-endpoints`. Without `events` the endpoint hears everything."""

    url = KeptString(max_length=2_000)
    events = serializers.ListField(
        child=StrictString(max_length=100), min_length=1, max_length=MOST_PATTERNS, required=False
    )
    description = KeptString(max_length=500, required=False, allow_blank=True, default="")


class NothingRequest(StrictSerializer):
    """A call that says all by its path."""


def endpoint_json(endpoint: EndpointView) -> dict[str, Any]:
    """Return an endpoint as lists show it."""
    return {
        "id": str(endpoint.endpoint_id),
        "url": endpoint.url,
        "description": endpoint.description,
        "events": list(endpoint.events),
        "state": endpoint.state,
        "disabled_because": endpoint.disabled_because or None,
        "failures": endpoint.failures,
        "paused_until": rfc3339(endpoint.paused_until) if endpoint.paused_until else None,
        "secret_since": rfc3339(endpoint.secret_since),
        "previous_secret_until": rfc3339(endpoint.previous_secret_until) if endpoint.previous_secret_until else None,
        "created_by": endpoint.created_by,
        "created_at": rfc3339(endpoint.created_at),
    }


def delivery_json(delivery: DeliveryView) -> dict[str, Any]:
    """Return a delivery with its attempts; `request` is null once what was sent is not kept any more."""
    return {
        "id": str(delivery.delivery_id),
        "endpoint_id": str(delivery.endpoint_id),
        "event_id": str(delivery.event_id),
        "type": delivery.type,
        "state": delivery.state,
        "request": json.loads(delivery.body) if delivery.body else None,
        "attempts": delivery.attempts,
        "redeliveries": delivery.redeliveries,
        "next_attempt_at": rfc3339(delivery.next_attempt_at) if delivery.next_attempt_at else None,
        "created_at": rfc3339(delivery.created_at),
        "settled_at": rfc3339(delivery.settled_at) if delivery.settled_at else None,
        "log": [_attempt_json(attempt) for attempt in delivery.log],
    }


def _attempt_json(attempt: AttemptView) -> dict[str, Any]:
    return {
        "at": rfc3339(attempt.at),
        "url": attempt.url,
        "request_headers": attempt.request_headers,
        "status": attempt.status,
        "answer": attempt.answer,
        "error": attempt.error,
        "duration_ms": attempt.duration_ms,
    }


class WebhookEndpointSchema(serializers.Serializer[Any]):
    """An endpoint."""

    id = serializers.CharField()
    url = serializers.CharField()
    description = serializers.CharField()
    events = serializers.ListField(child=serializers.CharField())
    state = serializers.ChoiceField(choices=[EndpointState.ACTIVE.value, EndpointState.DISABLED.value])
    disabled_because = serializers.ChoiceField(choices=[reason.value for reason in DisabledBecause], allow_null=True)
    failures = serializers.IntegerField(help_text="Attempts that failed in a row.")
    paused_until = serializers.DateTimeField(allow_null=True)
    secret_since = serializers.DateTimeField()
    previous_secret_until = serializers.DateTimeField(
        allow_null=True, help_text="The secret before signs as well until then."
    )
    created_by = serializers.CharField(help_text="The name of the API key.")
    created_at = serializers.DateTimeField()


class NewWebhookSecretSchema(WebhookEndpointSchema):
    """An endpoint with its secret, which is shown to whoever made it and never again."""

    secret = serializers.CharField(
        allow_null=True, help_text="`whsec_...`; null in a repeat after the secret was replaced."
    )


class WebhookEndpointPageSchema(serializers.Serializer[Any]):
    """One page of endpoints, newest first."""

    results = WebhookEndpointSchema(many=True)
    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)


class WebhookAttemptSchema(serializers.Serializer[Any]):
    """One attempt: what was sent besides the body, and what came back."""

    at = serializers.DateTimeField()
    url = serializers.CharField()
    request_headers = serializers.DictField(child=serializers.CharField())
    status = serializers.IntegerField(allow_null=True)
    answer = serializers.CharField(help_text="The beginning of the answer's body.")
    error = serializers.CharField()
    duration_ms = serializers.IntegerField()


class WebhookDeliverySchema(serializers.Serializer[Any]):
    """One event for one endpoint."""

    id = serializers.CharField()
    endpoint_id = serializers.CharField()
    event_id = serializers.CharField(help_text="Also the header webhook-id, at every attempt.")
    type = serializers.CharField()
    state = serializers.ChoiceField(choices=[state.value for state in DeliveryState])
    request = serializers.DictField(allow_null=True, help_text="The body that is sent.")
    attempts = serializers.IntegerField()
    redeliveries = serializers.IntegerField()
    next_attempt_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()
    settled_at = serializers.DateTimeField(allow_null=True)
    log = WebhookAttemptSchema(many=True)


class WebhookDeliveryPageSchema(serializers.Serializer[Any]):
    """One page of an endpoint's deliveries, newest first."""

    results = WebhookDeliverySchema(many=True)
    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)
