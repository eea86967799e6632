"""Payments in JSON. Answers are written by functions; the classes below them are the schema."""

from typing import Any

from rest_framework import serializers

from payments.dto import PaymentView, RefundView
from payments.states import AttemptStatus, RefundStatus
from shop.kernel.clock import rfc3339
from shop.kernel.http.serializers import (
    LARGEST_AMOUNT,
    KeptString,
    MoneySchema,
    StrictInteger,
    StrictSerializer,
    StrictString,
    money_json,
)

# Gateways take addresses of about two thousand signs; ours get `payment_id` added.
LONGEST_URL = 1900
LONGEST_REASON = 500


class StartPaymentRequest(StrictSerializer):
    """`POST /payments`. The browser comes back to `return_url?payment_id=...`."""

    order_id = StrictString(max_length=64)
    return_url = KeptString(max_length=LONGEST_URL, trim_whitespace=False)
    gateway = StrictString(max_length=40, required=False)


class RefundMoneyRequest(StrictSerializer):
    """How much goes back."""

    amount = StrictInteger(min_value=1, max_value=LARGEST_AMOUNT)
    currency = StrictString(min_length=3, max_length=3)


class RefundRequest(StrictSerializer):
    """`POST /payments/{id}/refunds`. Without an amount, all that is left of the payment goes back."""

    amount = RefundMoneyRequest(required=False)
    reason = KeptString(max_length=LONGEST_REASON)


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


def refund_json(refund: RefundView) -> dict[str, Any]:
    """Return a refund as the API writes it."""
    return {
        "id": str(refund.refund_id),
        "payment_id": str(refund.payment_id),
        "amount": money_json(refund.amount),
        "status": refund.status,
        "reason": refund.reason,
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


class RefundSchema(serializers.Serializer[Any]):
    """Money of a payment on its way back, or back."""

    id = serializers.CharField()
    payment_id = serializers.CharField()
    amount = MoneySchema()
    status = serializers.ChoiceField(choices=[status.value for status in RefundStatus])
    reason = serializers.CharField(help_text="As whoever asked for it wrote; empty where an order or gateway did.")


class RefundPageSchema(serializers.Serializer[Any]):
    """The refunds of a payment, newest first."""

    results = RefundSchema(many=True)
    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)


class ReceivedSchema(serializers.Serializer[Any]):
    """The answer to a gateway's callback, new or repeated."""

    received = serializers.BooleanField()
