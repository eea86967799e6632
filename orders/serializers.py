"""Orders in JSON. Answers are written by functions, which cost a tenth; the classes below them are the schema."""

from typing import Any

from rest_framework import serializers

from orders.dto import OrderView
from orders.states import EntryType, PaymentStatus, Status
from shop.kernel.clock import rfc3339
from shop.kernel.http.priced import PricedLineSchema, TotalsSchema, priced_line_json, totals_json
from shop.kernel.http.serializers import KeptString, MoneySchema, StrictSerializer, StrictString, money_json

LONGEST_REASON = 500
LONGEST_TRACKING = 200


class PlaceOrderRequest(StrictSerializer):
    """`POST /orders`. With `quote_hash`, the order is refused if it is not the offer the shopper saw."""

    checkout_id = StrictString(max_length=64)
    quote_hash = StrictString(max_length=200, required=False)


class CancelOrderRequest(StrictSerializer):
    """`POST /orders/{id}/cancel`."""

    reason = KeptString(max_length=LONGEST_REASON, required=False, allow_blank=True, default="")


class FulfilOrderRequest(StrictSerializer):
    """`POST /internal/orders/{id}/fulfil`."""

    tracking = StrictString(max_length=LONGEST_TRACKING, required=False, allow_blank=True, default="")


def order_json(order: OrderView) -> dict[str, Any]:
    """Return an order as lists and answers to a change show it."""
    return {
        "id": str(order.order_id),
        "number": order.number,
        "status": order.status,
        "payment_status": order.payment_status,
        "lines": [priced_line_json(line) for line in order.lines],
        "totals": totals_json(order.totals),
        "email": order.email,
        "shipping_address": order.shipping_address,
        "billing_address": order.billing_address,
        "shipping_method": order.shipping_method,
        "payment_deadline": rfc3339(order.payment_deadline),
        "created_at": rfc3339(order.created_at),
        "updated_at": rfc3339(order.updated_at),
    }


def order_detail_json(order: OrderView) -> dict[str, Any]:
    """Return an order with all that happened to it, as reading one shows it."""
    timeline = [{"at": rfc3339(entry.at), "type": entry.type, "detail": entry.detail} for entry in order.timeline or ()]
    return order_json(order) | {"timeline": timeline}


def internal_order_json(order: OrderView) -> dict[str, Any]:
    """Return an order as the house's own systems read it."""
    return order_detail_json(order) | {
        "user_id": str(order.user_id),
        "guest": order.guest,
        "needs_review": order.needs_review,
        "captured": money_json(order.captured),
        "refunded": money_json(order.refunded),
        "tracking": order.tracking,
    }


class OrderAddressSchema(serializers.Serializer[Any]):
    """Where an order or its invoice goes."""

    name = serializers.CharField()
    line1 = serializers.CharField()
    line2 = serializers.CharField(required=False)
    city = serializers.CharField()
    region = serializers.CharField(required=False)
    postal_code = serializers.CharField()
    country = serializers.CharField()


class OrderSchema(serializers.Serializer[Any]):
    """An order in a list."""

    id = serializers.CharField()
    number = serializers.CharField()
    status = serializers.ChoiceField(choices=[status.value for status in Status])
    payment_status = serializers.ChoiceField(choices=[status.value for status in PaymentStatus])
    lines = PricedLineSchema(many=True)
    totals = TotalsSchema()
    email = serializers.CharField()
    shipping_address = OrderAddressSchema()
    billing_address = OrderAddressSchema()
    shipping_method = serializers.CharField()
    payment_deadline = serializers.DateTimeField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class OrderEntrySchema(serializers.Serializer[Any]):
    """One thing that happened to an order."""

    at = serializers.DateTimeField()
    type = serializers.ChoiceField(choices=[kind.value for kind in EntryType])
    detail = serializers.CharField()


class OrderDetailSchema(OrderSchema):
    """An order with all that happened to it."""

    timeline = OrderEntrySchema(many=True)


class InternalOrderSchema(OrderDetailSchema):
    """An order for the house's own systems."""

    user_id = serializers.CharField()
    guest = serializers.BooleanField()
    needs_review = serializers.BooleanField()
    captured = MoneySchema()
    refunded = MoneySchema()
    tracking = serializers.CharField()


class OrderPageSchema(serializers.Serializer[Any]):
    """One page of a shopper's orders, newest first."""

    results = OrderSchema(many=True)
    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)
