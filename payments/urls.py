"""Where payments answer. `internal_urlpatterns` are mounted below `internal/`."""

from django.urls import path

from payments.views import (
    CallbackView,
    CancelPaymentView,
    DefaultCallbackView,
    InternalPaymentView,
    InternalRefundsView,
    OnePaymentView,
    PaymentsView,
    RefundsView,
)

urlpatterns = [
    path("payments", PaymentsView.as_view()),
    path("payments/<str:payment_id>", OnePaymentView.as_view()),
    path("payments/<str:payment_id>/cancel", CancelPaymentView.as_view()),
    path("payments/<str:payment_id>/refunds", RefundsView.as_view()),
    path("payment-callback", DefaultCallbackView.as_view()),
    path("payment-callback/<str:gateway>", CallbackView.as_view()),
]

internal_urlpatterns = [
    path("payments/<str:payment_id>", InternalPaymentView.as_view()),
    path("payments/<str:payment_id>/refunds", InternalRefundsView.as_view()),
]
