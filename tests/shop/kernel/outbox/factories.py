"""Events to tell in tests."""

from datetime import UTC, datetime
from uuid import UUID

from orders.events import OrderExpired
from shop.kernel.events import UserAction
from shop.kernel.ids import new_id
from shop.kernel.money import Money

AT = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def action(*, user_id: UUID, name: str = "Cart Viewed", **properties: str | int) -> UserAction:
    """Return something a shopper did; its key is the shopper."""
    return UserAction(occurred_at=AT, user_id=user_id, guest=False, name=name, properties=dict(properties))


def expired(*, order_id: UUID, number: str = "R7KD-2MNP-XW") -> OrderExpired:
    """Return the end of an order; its key is the order."""
    return OrderExpired(
        occurred_at=AT, order_id=order_id, number=number, user_id=new_id(), guest=True, total=Money(1_000, "EUR")
    )
