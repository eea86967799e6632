from django.urls import path

from checkout.views import CheckoutsView, OneCheckoutView, ShippingMethodsView

urlpatterns = [
    path("checkout", CheckoutsView.as_view()),
    path("checkout/shipping-methods", ShippingMethodsView.as_view()),
    path("checkout/<str:checkout_id>", OneCheckoutView.as_view()),
]
