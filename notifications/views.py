"""Merchants' webhooks over HTTP, for systems of the house."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from notifications.errors import WebhookNotFound
from notifications.queries import webhooks as queries
from notifications.serializers import (
    CreateEndpointRequest,
    NewWebhookSecretSchema,
    NothingRequest,
    WebhookDeliveryPageSchema,
    WebhookDeliverySchema,
    WebhookEndpointPageSchema,
    delivery_json,
    endpoint_json,
)
from notifications.services import webhooks
from notifications.services.webhooks.filters import ALL
from shop.kernel.clock import utc_now
from shop.kernel.http.pagination import PAGING, answer, page_of
from shop.kernel.http.serializers import parsed
from shop.kernel.http.views import InternalView
from shop.kernel.idempotency.http import KEY_PARAMETER, REPLAYED, idempotent
from shop.kernel.ids import as_uuid


class WebhookView(InternalView):
    """A call about merchants' webhooks."""

    scope = "webhooks:manage"


class WebhookEndpointsView(WebhookView):
    """Who is told."""

    @extend_schema(
        operation_id="internal_list_webhook_endpoints", parameters=PAGING, responses=WebhookEndpointPageSchema
    )
    def get(self, request: Request) -> Response:
        """List the endpoints of the shop, newest first, whoever made them; secrets are not shown."""
        page = page_of(request)
        rows = queries.endpoints(limit=page.limit + 1, after=page.after, before=page.before, now=utc_now())
        return Response(answer(request, page=page, rows=rows, place=lambda row: row.endpoint_id, as_json=endpoint_json))

    @extend_schema(
        operation_id="internal_create_webhook_endpoint",
        parameters=[KEY_PARAMETER],
        request=CreateEndpointRequest,
        responses={201: NewWebhookSecretSchema},
    )
    def post(self, request: Request) -> HttpResponse:
        """Make an endpoint. Its secret is in this answer and in no other."""
        return _with_secret(self._create(request))

    @idempotent
    def _create(self, request: Request) -> HttpResponse:
        body = parsed(CreateEndpointRequest, request)
        made = webhooks.create_endpoint(
            url=body["url"],
            events=body.get("events", [ALL]),
            description=body["description"],
            created_by=self.key.name,
            now=utc_now(),
        )
        return Response(endpoint_json(made), status=status.HTTP_201_CREATED)


class OneWebhookEndpointView(WebhookView):
    """One endpoint."""

    @extend_schema(operation_id="internal_remove_webhook_endpoint", request=None, responses={204: None})
    def delete(self, request: Request, endpoint_id: str) -> Response:  # noqa: ARG002  DRF passes it
        """Remove the endpoint: nothing is sent to it any more, also nothing that waits."""
        webhooks.remove_endpoint(endpoint_id=_endpoint_id(endpoint_id), now=utc_now())
        return Response(status=status.HTTP_204_NO_CONTENT)


class RotateWebhookSecretView(WebhookView):
    """A new secret."""

    @extend_schema(
        operation_id="internal_rotate_webhook_secret",
        parameters=[KEY_PARAMETER],
        request=NothingRequest,
        responses=NewWebhookSecretSchema,
    )
    def post(self, request: Request, endpoint_id: str) -> HttpResponse:
        """Give the endpoint a new secret; the old one signs as well until `previous_secret_until`."""
        return _with_secret(self._rotate(request, endpoint_id))

    @idempotent
    def _rotate(self, request: Request, endpoint_id: str) -> HttpResponse:
        parsed(NothingRequest, request)
        rotated = webhooks.rotate_secret(endpoint_id=_endpoint_id(endpoint_id), now=utc_now())
        return Response(endpoint_json(rotated))


class PingWebhookEndpointView(WebhookView):
    """A test."""

    @extend_schema(
        operation_id="internal_ping_webhook_endpoint", request=NothingRequest, responses={202: WebhookDeliverySchema}
    )
    @idempotent
    def post(self, request: Request, endpoint_id: str) -> Response:
        """Send a `webhook.ping`; what came of it is among the deliveries a moment later."""
        parsed(NothingRequest, request)
        sent = webhooks.ping_endpoint(endpoint_id=_endpoint_id(endpoint_id), now=utc_now())
        return Response(delivery_json(sent), status=status.HTTP_202_ACCEPTED)


class WebhookDeliveriesView(WebhookView):
    """What was told."""

    @extend_schema(
        operation_id="internal_list_webhook_deliveries", parameters=PAGING, responses=WebhookDeliveryPageSchema
    )
    def get(self, request: Request, endpoint_id: str) -> Response:
        """List an endpoint's deliveries with request and answer of every attempt, newest first."""
        page = page_of(request)
        rows = queries.deliveries(
            endpoint_id=_endpoint_id(endpoint_id), limit=page.limit + 1, after=page.after, before=page.before
        )
        return Response(answer(request, page=page, rows=rows, place=lambda row: row.delivery_id, as_json=delivery_json))


class RedeliverView(WebhookView):
    """Telling it again."""

    @extend_schema(
        operation_id="internal_redeliver_webhook", request=NothingRequest, responses={202: WebhookDeliverySchema}
    )
    @idempotent
    def post(self, request: Request, delivery_id: str) -> Response:
        """Send a delivery again, now and with all its retries, under the same `webhook-id`."""
        parsed(NothingRequest, request)
        wanted = as_uuid(delivery_id)
        if wanted is None:
            raise WebhookNotFound(entity="delivery")
        return Response(
            delivery_json(webhooks.redeliver(delivery_id=wanted, now=utc_now())), status=status.HTTP_202_ACCEPTED
        )


def _with_secret(kept: HttpResponse) -> HttpResponse:
    """Return an answer with the secret it is about.

    What is kept for repeats of a request holds no secret: it is derived again, unless it was replaced meanwhile.
    """
    shown: dict[str, Any] = kept.data if isinstance(kept, Response) else msgspec.json.decode(kept.content)
    secret = webhooks.secret_made_at(endpoint_id=UUID(shown["id"]), since=datetime.fromisoformat(shown["secret_since"]))
    headers = {REPLAYED: kept.headers[REPLAYED]} if REPLAYED in kept.headers else {}
    return Response(
        {**shown, "secret": secret}, status=kept.status_code, headers={"Cache-Control": "no-store", **headers}
    )


def _endpoint_id(text: str) -> UUID:
    endpoint_id = as_uuid(text)
    if endpoint_id is None:
        raise WebhookNotFound(entity="webhook endpoint")
    return endpoint_id
