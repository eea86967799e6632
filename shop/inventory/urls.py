"""Where inventory answers, all of it below `internal/`."""

from django.urls import path

from shop.inventory.views import StockView

internal_urlpatterns = [
    # SKUs of imported catalogues may contain a slash.
    path("stock/<path:sku>", StockView.as_view()),
]
