"""What can be done with an order: place it, take its money, close it."""

from orders.services.closing import cancel, expire, fulfil, mark_reviewed
from orders.services.money import mark_paid, note_failed_payment
from orders.services.placing import place
from orders.services.refunds import note_refund

__all__ = [
    "cancel",
    "expire",
    "fulfil",
    "mark_paid",
    "mark_reviewed",
    "note_failed_payment",
    "note_refund",
    "place",
]
