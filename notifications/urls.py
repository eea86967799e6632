"""Where webhooks are looked after; mounted below `internal/`."""

from django.urls import path

from notifications.views import (
    OneWebhookEndpointView,
    PingWebhookEndpointView,
    RedeliverView,
    RotateWebhookSecretView,
    WebhookDeliveriesView,
    WebhookEndpointsView,
)

internal_urlpatterns = [
    path("webhook-endpoints", WebhookEndpointsView.as_view()),
    path("webhook-endpoints/<str:endpoint_id>", OneWebhookEndpointView.as_view()),
    path("webhook-endpoints/<str:endpoint_id>/deliveries", WebhookDeliveriesView.as_view()),
    path("webhook-endpoints/<str:endpoint_id>/ping", PingWebhookEndpointView.as_view()),
    path("webhook-endpoints/<str:endpoint_id>/rotate-secret", RotateWebhookSecretView.as_view()),
    path("deliveries/<str:delivery_id>/redeliver", RedeliverView.as_view()),
]
