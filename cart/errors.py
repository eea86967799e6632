"""Every refusal the cart can utter."""

from shop.kernel.errors import Conflict, NotFound, PreconditionFailed


class CartNotFound(NotFound):
    """The cart is somebody else's, and for the caller it does not exist."""

    def __init__(self) -> None:
        super().__init__("There is no such cart.")


class LineExceedsStock(Conflict):
    """More units are wanted than can be had now."""

    code = "insufficient_stock"

    def __init__(self, *, sku: str, wanted: int, available: int) -> None:
        super().__init__(
            f"{wanted} units are wanted and {available} are available.",
            sku=sku,
            wanted=wanted,
            available=available,
        )


class CartFull(Conflict):
    """One more article than a cart holds lines."""

    code = "cart_full"

    def __init__(self, *, limit: int) -> None:
        super().__init__(f"A cart holds at most {limit} different articles.", limit=limit)


class QuantityLimit(Conflict):
    """Adding up would exceed the units one line holds."""

    code = "quantity_limit"

    def __init__(self, *, sku: str, wanted: int, limit: int) -> None:
        super().__init__(
            f"{wanted} units are wanted; a line holds at most {limit}.", sku=sku, wanted=wanted, limit=limit
        )


class CartChanged(PreconditionFailed):
    """The caller's `If-Match` names another version than the cart has now."""

    def __init__(self, *, version: int) -> None:
        super().__init__(f"The cart has changed since; it is at version {version} now.", version=version)
