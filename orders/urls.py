"""Where orders answer. `internal_urlpatterns` are mounted below `internal/`."""

from django.urls import path

from orders.views import CancelOrderView, FulfilOrderView, InternalOrderView, OneOrderView, OrdersView

urlpatterns = [
    path("orders", OrdersView.as_view()),
    path("orders/<str:order_id>", OneOrderView.as_view()),
    path("orders/<str:order_id>/cancel", CancelOrderView.as_view()),
]

internal_urlpatterns = [
    path("orders/<str:order_id>", InternalOrderView.as_view()),
    path("orders/<str:order_id>/fulfil", FulfilOrderView.as_view()),
]
