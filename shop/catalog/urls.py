from django.urls import path

from shop.catalog.views import ProductDetail, Products

urlpatterns = [
    path("products", Products.as_view()),
    # SKUs of imported catalogues may contain a slash.
    path("products/<path:sku>", ProductDetail.as_view()),
]
