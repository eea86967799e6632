"""Every path of the API; each context lists its own."""

import sys

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from notifications.urls import internal_urlpatterns as internal_webhooks
from orders.urls import internal_urlpatterns as internal_orders
from payments.urls import internal_urlpatterns as internal_payments
from shop.inventory.urls import internal_urlpatterns as internal_inventory
from shop.kernel.http import problems
from shop.kernel.http.operations import healthz, metrics, readyz

urlpatterns = [
    path("", include("shop.kernel.auth.urls")),
    path("", include("shop.catalog.urls")),
    path("", include("cart.urls")),
    path("", include("checkout.urls")),
    path("", include("orders.urls")),
    path("", include("payments.urls")),
    path("internal/", include((internal_inventory, "internal_inventory"))),
    path("internal/", include((internal_orders, "internal_orders"))),
    path("internal/", include((internal_payments, "internal_payments"))),
    path("internal/", include((internal_webhooks, "internal_webhooks"))),
    path("schema", SpectacularAPIView.as_view(authentication_classes=[], permission_classes=[]), name="schema"),
    path(
        "docs",
        # To OPTIONS it would answer with data, which its template cannot show.
        SpectacularSwaggerSplitView.as_view(
            url_name="schema", authentication_classes=[], permission_classes=[], http_method_names=["get", "head"]
        ),
        name="docs",
    ),
    path("healthz", healthz),
    path("readyz", readyz),
    path("metrics", metrics),
    path("admin", RedirectView.as_view(url="/admin/")),
    path("admin/", admin.site.urls),
]


def handler404(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001  Django's signature
    """Answer an unknown path."""
    return problems.problem(404, code="not_found", detail="There is nothing at this path.")


def handler400(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001  Django's signature
    """Answer a request Django itself finds malformed."""
    return problems.problem(400, code="malformed_request", detail="The request is malformed.")


def handler500(request: HttpRequest) -> HttpResponse:  # noqa: ARG001  Django's signature
    """Answer a defect in the admin or outside any view; Django calls this while it handles the error."""
    error = sys.exception()
    return problems.for_defect(error if isinstance(error, Exception) else None)
