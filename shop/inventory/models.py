from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from shop.inventory.states import ReservationState
from shop.kernel.ids import new_id


class Stock(models.Model):
    """The units of one article: on the shelf, and of those held for shoppers. The rest may be bought.

    The row's lock is what shoppers of the same article queue for. The view `inventory_available (sku, available)`
    and the function `inventory_reserved_by (shopper)`, rows of `(sku, quantity)`, are what other contexts may join.
    """

    sku = models.TextField(primary_key=True)
    on_hand = models.IntegerField()
    held = models.IntegerField(default=0, db_default=0)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "inventory_stock"
        ordering: ClassVar = ["sku"]
        verbose_name_plural = "stock"
        constraints: ClassVar = [
            models.CheckConstraint(
                name="inventory_stock_held_within_on_hand", condition=Q(held__gte=0, held__lte=F("on_hand"))
            ),
        ]

    def __str__(self) -> str:
        return self.sku


class Reservation(models.Model):
    """Units held together for one checkout, whose id it bears, and for the order that comes of it."""

    id = models.UUIDField(primary_key=True, default=new_id)
    # The shopper, whom units that are only reserved do not stand in the way of.
    holder = models.UUIDField()
    state = models.TextField(choices=[(state.value, state.capitalize()) for state in ReservationState])
    # Says until when the units are meant to be held; releasing them is up to whoever made the reservation.
    expires_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "inventory_reservation"
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="inventory_reservation_state", condition=Q(state__in=[state.value for state in ReservationState])
            ),
        ]
        indexes: ClassVar = [
            # However much a shopper has bought before, only what is reserved now is found.
            models.Index(
                fields=["holder"],
                condition=Q(state=ReservationState.RESERVED.value),
                name="inventory_reservation_reserved",
            ),
        ]

    def __str__(self) -> str:
        return str(self.id)


class ReservationLine(models.Model):
    """So many units of one article in a reservation. Lines never change; the reservation's state does."""

    pk = models.CompositePrimaryKey("reservation_id", "sku")
    # The primary key's index begins with it.
    reservation = models.ForeignKey(Reservation, on_delete=models.CASCADE, related_name="lines", db_index=False)
    sku = models.TextField()
    quantity = models.IntegerField()

    class Meta:
        db_table = "inventory_reservation_line"
        ordering: ClassVar = ["reservation_id", "sku"]
        constraints: ClassVar = [
            models.CheckConstraint(name="inventory_reservation_line_quantity", condition=Q(quantity__gt=0)),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} x {self.sku}"
