"""What cart requests and answers look like on the wire."""

from typing import Any

from rest_framework import serializers

from cart.dto import CartView, Warned
from cart.models import MOST_UNITS
from shop.kernel.http.serializers import MoneySchema, StrictInteger, StrictSerializer, StrictString, money_json


class AddItemRequest(StrictSerializer):
    """Body of `POST /cart/{userId}/items`."""

    sku = StrictString(max_length=255)
    quantity = StrictInteger(min_value=1, max_value=MOST_UNITS)


class SetQuantityRequest(StrictSerializer):
    """Body of `PATCH /cart/{userId}/items/{sku}`."""

    quantity = StrictInteger(min_value=0, max_value=MOST_UNITS)


class CartLineSchema(serializers.Serializer[Any]):
    """One line of a cart."""

    sku = serializers.CharField()
    name = serializers.CharField()
    image_url = serializers.CharField(allow_blank=True)
    quantity = serializers.IntegerField(min_value=1, max_value=MOST_UNITS)
    unit_price = MoneySchema()
    line_total = MoneySchema()
    available = serializers.IntegerField(min_value=0)


class CartWarningSchema(serializers.Serializer[Any]):
    """Something about a line the shopper should know."""

    code = serializers.ChoiceField(choices=[warned.value for warned in Warned])
    sku = serializers.CharField()
    detail = serializers.CharField()


class CartSchema(serializers.Serializer[Any]):
    """A cart at today's prices."""

    id = serializers.UUIDField()
    user_id = serializers.UUIDField()
    currency = serializers.CharField()
    version = serializers.IntegerField(help_text="Grows with every change; the first part of the ETag.")
    lines = CartLineSchema(many=True)
    item_count = serializers.IntegerField(help_text="Units, not lines.")
    subtotal = MoneySchema()
    warnings = CartWarningSchema(many=True)


def cart_json(cart: CartView) -> dict[str, Any]:
    """Return a cart as the API writes it; the keys are those of `CartSchema`."""
    return {
        "id": cart.cart_id,
        "user_id": cart.user_id,
        "currency": cart.currency,
        "version": cart.version,
        "lines": [
            {
                "sku": line.sku,
                "name": line.name,
                "image_url": line.image_url,
                "quantity": line.quantity,
                "unit_price": money_json(line.unit_price),
                "line_total": money_json(line.line_total),
                "available": line.available,
            }
            for line in cart.lines
        ],
        "item_count": cart.item_count,
        "subtotal": money_json(cart.subtotal),
        "warnings": [{"code": warning.code, "sku": warning.sku, "detail": warning.detail} for warning in cart.warnings],
    }
