"""Payments in JSON. Answers are written by functions; the classes below them are the schema."""

from typing import Any

from rest_framework import serializers

from payments.dto import PaymentView
from payments.states import AttemptStatus
from shop.kernel.clock import rfc3339
from shop.kernel.http.serializers import MoneySchema, StrictSerializer, StrictString, money_json

# Gateways take addresses of about two thousand signs; ours get `payment_id` added.
LONGEST_URL = 1900


class StartPaymentRequest(StrictSerializer):
    """`POST /payments`. The browser comes back to `return_url?payment_id=...`."""

    order_id = StrictString(max_length=64)
    return_url = StrictString(max_length=LONGEST_URL, trim_whitespace=False)
    gateway = StrictString(max_length=40, required=False)


class CancelPaymentRequest(StrictSerializer):
    """`POST /payments/{id}/cancel`: nothing to say."""


def payment_json(payment: PaymentView) -> dict[str, Any]:
    """Return a payment as the API writes it."""
    failure = {"code": payment.failure_code, "detail": payment.failure_detail} if payment.failure_code else None
    return {
        "id": str(payment.payment_id),
        "order_id": str(payment.order_id),
        "gateway": payment.gateway,
        "status": payment.status,
        "amount": money_json(payment.amount),
        "redirect_url": payment.redirect_url or None,
        "expires_at": rfc3339(payment.expires_at),
        "refunded": money_json(payment.refunded),
        "failure": failure,
    }


class FailureSchema(serializers.Serializer[Any]):
    """Why a payment brought no money."""

    code = serializers.CharField()
    detail = serializers.CharField()


class PaymentSchema(serializers.Serializer[Any]):
    """One attempt to pay for an order."""

    id = serializers.CharField()
    order_id = serializers.CharField()
    gateway = serializers.CharField()
    status = serializers.ChoiceField(choices=[status.value for status in AttemptStatus])
    amount = MoneySchema()
    redirect_url = serializers.CharField(allow_null=True, help_text="Null until the gateway has answered.")
    expires_at = serializers.DateTimeField()
    refunded = MoneySchema()
    failure = FailureSchema(allow_null=True)


class PaymentPageSchema(serializers.Serializer[Any]):
    """The payments of an order, newest first."""

    results = PaymentSchema(many=True)
    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)


class ReceivedSchema(serializers.Serializer[Any]):
    """The answer to a gateway's callback, new or repeated."""

    received = serializers.BooleanField()
