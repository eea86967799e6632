"""What every change of an existing order shares: lock it, move it, tell it on its timeline."""

from datetime import datetime
from typing import Any
from uuid import UUID

from orders.errors import OrderNotFound
from orders.models import Entry, Order
from orders.states import EntryType, Status, check_move


def locked(*, order_id: UUID) -> Order:
    """Return the order, locked and freshly read; OrderNotFound when there is none."""
    order = Order.objects.select_for_update().filter(pk=order_id).first()
    if order is None:
        raise OrderNotFound
    return order


def move(order: Order, *, wanted: Status, now: datetime, entry: EntryType, detail: str = "", **changes: Any) -> None:
    """Move a locked order, with `changes` to further columns, and tell it; IllegalTransition changes nothing."""
    check_move(current=order.status, wanted=wanted)
    change(order, now=now, status=wanted.value, **changes)
    tell(order, now=now, entry=entry, detail=detail)


def change(order: Order, *, now: datetime, **changes: Any) -> None:
    """Write these columns of a locked order, and when."""
    changes["updated_at"] = now
    for name, value in changes.items():
        setattr(order, name, value)
    order.save(update_fields=list(changes))


def tell(order: Order, *, now: datetime, entry: EntryType, detail: str = "") -> None:
    """Append to the order's timeline. `detail` must not hold a person's data."""
    Entry.objects.create(order_id=order.pk, at=now, type=entry.value, detail=detail)
