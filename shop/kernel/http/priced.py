"""Priced lines and totals in JSON: a checkout and its order show them alike."""

from typing import Any

from rest_framework import serializers

from shop.kernel.http.serializers import MoneySchema, money_json
from shop.kernel.priced import PricedLine, Totals


class PricedLineSchema(serializers.Serializer[Any]):
    """One frozen line; `line_total` contains `tax`."""

    sku = serializers.CharField()
    name = serializers.CharField()
    quantity = serializers.IntegerField()
    unit_price = MoneySchema()
    discount = MoneySchema()
    tax = MoneySchema()
    line_total = MoneySchema()


class TotalsSchema(serializers.Serializer[Any]):
    """total = subtotal - discount + shipping, and contains `tax`."""

    subtotal = MoneySchema()
    discount = MoneySchema()
    shipping = MoneySchema()
    tax = MoneySchema()
    total = MoneySchema()


def priced_line_json(line: PricedLine) -> dict[str, Any]:
    """Return a line as the API writes it; the keys are those of `PricedLineSchema`."""
    return {
        "sku": line.sku,
        "name": line.name,
        "quantity": line.quantity,
        "unit_price": money_json(line.unit_price),
        "discount": money_json(line.discount),
        "tax": money_json(line.tax),
        "line_total": money_json(line.line_total),
    }


def totals_json(totals: Totals) -> dict[str, Any]:
    """Return the sums as the API writes them; the keys are those of `TotalsSchema`."""
    return {
        "subtotal": money_json(totals.subtotal),
        "discount": money_json(totals.discount),
        "shipping": money_json(totals.shipping),
        "tax": money_json(totals.tax),
        "total": money_json(totals.total),
    }
