"""What inventory refuses."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from shop.kernel.errors import Conflict, NotFound


class InsufficientStock(Conflict):
    """Fewer units are free than are wanted; nothing was reserved."""

    code = "insufficient_stock"

    def __init__(self, *, lines: Sequence[dict[str, Any]]) -> None:
        """Take `lines` as `{"sku", "wanted", "available"}`, one for each article that falls short."""
        self.lines = list(lines)
        super().__init__("There is not enough stock for every line.", lines=self.lines)


class ReservationGone(Conflict):
    """The reservation no longer holds anything: it was released, or never made."""

    code = "reservation_gone"

    def __init__(self, *, reservation_id: UUID) -> None:
        super().__init__("The stock is no longer held.", reservation_id=str(reservation_id))


class StockBelowHeld(Conflict):
    """Units that shoppers hold cannot be taken off the shelf by counting."""

    code = "stock_below_held"

    def __init__(self, *, sku: str, on_hand: int, held: int) -> None:
        super().__init__(
            f"{held} units of {sku} are held for shoppers; on hand cannot be {on_hand}.",
            sku=sku,
            on_hand=on_hand,
            held=held,
        )


class UnknownSku(NotFound):
    """Nothing is kept or sold under this SKU, or not in the currency asked for."""

    code = "unknown_sku"

    def __init__(self, *, sku: str) -> None:
        super().__init__("There is no such article.", sku=sku)
