"""Stock in JSON."""

from typing import Any

from rest_framework import serializers

from shop.inventory.dto import Counted
from shop.kernel.http.serializers import StrictInteger, StrictSerializer


class CountRequest(StrictSerializer):
    """`PUT /internal/stock/{sku}`: how many units lie on the shelf, held ones included."""

    on_hand = StrictInteger(min_value=0)


def stock_json(counted: Counted) -> dict[str, Any]:
    """Return an article's stock as the house's own systems read it."""
    return {
        "sku": counted.sku,
        "on_hand": counted.on_hand,
        "held": counted.held,
        "available": counted.on_hand - counted.held,
    }


class StockSchema(serializers.Serializer[Any]):
    """An article's stock."""

    sku = serializers.CharField()
    on_hand = serializers.IntegerField()
    held = serializers.IntegerField()
    available = serializers.IntegerField()
