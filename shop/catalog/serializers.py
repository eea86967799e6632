"""What catalogue requests and answers look like on the wire."""

from typing import Any

from django.conf import settings
from rest_framework import serializers

from shop.catalog.dto import ProductView
from shop.kernel.http.serializers import MoneySchema, StrictString, money_json
from shop.kernel.money import exponent

# Nobody needs to know how much a shop has in its cellar.
MOST_SHOWN_AVAILABLE = 100


class PriceQuery(serializers.Serializer[Any]):
    """Query of `GET /products/{sku}`."""

    currency = StrictString(required=False, help_text="ISO 4217 code; the shop's own when left out.")

    def validate_currency(self, code: str) -> str:
        """Refuse what is no currency."""
        try:
            exponent(code)
        except ValueError as error:
            raise serializers.ValidationError(str(error)) from None
        return code

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        """Fill in the shop's own currency."""
        asked: dict[str, Any] = super().to_internal_value(data)
        return {"currency": settings.DEFAULT_CURRENCY, **asked}


class ProductQuery(PriceQuery):
    """Query of `GET /products`, beside `limit` and `cursor`."""

    search = StrictString(
        required=False, allow_blank=True, default="", max_length=200, help_text="Words of name, SKU or description."
    )
    category = StrictString(required=False, allow_blank=True, default="", max_length=200)


class ProductSchema(serializers.Serializer[Any]):
    """An article in the shop window."""

    sku = serializers.CharField()
    name = serializers.CharField()
    description = serializers.CharField(allow_blank=True, help_text="Plain text.")
    image_url = serializers.CharField(allow_blank=True)
    price = MoneySchema()
    available = serializers.IntegerField(min_value=0, max_value=MOST_SHOWN_AVAILABLE, help_text="Units, capped.")
    category = serializers.CharField(allow_blank=True)


class ProductPageSchema(serializers.Serializer[Any]):
    """A page of articles."""

    results = ProductSchema(many=True)
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)


def product_json(product: ProductView) -> dict[str, Any]:
    """Return an article as the API writes it; the keys are those of `ProductSchema`."""
    return {
        "sku": product.sku,
        "name": product.name,
        "description": product.description,
        "image_url": product.image_url,
        "price": money_json(product.price),
        "available": min(product.available, MOST_SHOWN_AVAILABLE),
        "category": product.category,
    }
