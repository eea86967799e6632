from django.urls import path

from shop.catalog.views import OneProductView, ProductsView

urlpatterns = [
    path("products", ProductsView.as_view()),
    # SKUs of imported catalogues may contain a slash.
    path("products/<path:sku>", OneProductView.as_view()),
]
