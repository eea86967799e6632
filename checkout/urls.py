from django.urls import path

from checkout.views import CheckoutDetail, Checkouts, ShippingMethods

urlpatterns = [
    path("checkout", Checkouts.as_view()),
    path("checkout/shipping-methods", ShippingMethods.as_view()),
    path("checkout/<str:checkout_id>", CheckoutDetail.as_view()),
]
