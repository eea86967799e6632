"""What orders refuses."""

from uuid import UUID

from shop.kernel.errors import Conflict, NotFound, Unavailable


class OrderNotFound(NotFound):
    """There is no such order, or it is somebody else's."""

    def __init__(self, *, order_id: UUID | str | None = None) -> None:
        """Take the id that was asked for, where it was one."""
        data = {} if order_id is None else {"order_id": str(order_id)}
        super().__init__("There is no such order.", **data)


class OrderRefunded(Conflict):
    """All the money of the order has gone back, or is about to: its goods do not leave."""

    code = "order_refunded"

    def __init__(self) -> None:
        super().__init__("All the money of this order has gone back, or is on its way; its goods are not sent.")


class OrderNumbersTaken(Unavailable):
    """Two fresh order numbers in a row were taken already: one chance in a billion, and a second try mends it."""

    code = "order_numbers_taken"

    def __init__(self) -> None:
        super().__init__("No free order number was found; try again.", retry_after_seconds=1)
