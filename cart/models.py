from typing import ClassVar

from django.db import models
from django.db.models import Q

MOST_LINES = 100
MOST_UNITS = 999


class Cart(models.Model):
    """What one shopper wants to buy. Its id is the shopper's id: everybody has one cart, even before it has a row.

    `version` grows by one with every change; a checkout remembers the version it priced.
    """

    id = models.UUIDField(primary_key=True)
    currency = models.TextField()
    version = models.IntegerField()
    updated_at = models.DateTimeField()

    class Meta:
        db_table = "cart_cart"
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return str(self.id)


class CartLine(models.Model):
    """Some units of one article, with the name and the price the shopper saw when the line was last changed."""

    pk = models.CompositePrimaryKey("cart_id", "sku")
    # The primary key's index begins with the cart; a second one would only cost writes.
    cart = models.ForeignKey(Cart, models.CASCADE, related_name="lines", db_index=False)
    sku = models.TextField()
    name = models.TextField()
    quantity = models.SmallIntegerField()
    unit_price_seen = models.BigIntegerField()
    added_at = models.DateTimeField()

    class Meta:
        db_table = "cart_line"
        ordering: ClassVar = ["added_at", "sku"]
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(quantity__gte=1, quantity__lte=MOST_UNITS), name="cart_line_quantity"),
            models.CheckConstraint(condition=Q(unit_price_seen__gte=0), name="cart_line_price"),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} x {self.sku}"
