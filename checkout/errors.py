"""Every refusal a checkout can utter. A shortage of stock is inventory's own `InsufficientStock`."""

from uuid import UUID

from shop.kernel.errors import Conflict, NotFound
from shop.kernel.money import Money


class CheckoutNotFound(NotFound):
    """There is no such checkout, or it is somebody else's."""

    def __init__(self) -> None:
        super().__init__("There is no such checkout.")


class CartEmpty(Conflict):
    """There is nothing to price."""

    code = "cart_empty"

    def __init__(self) -> None:
        super().__init__("The cart is empty.")


class ShippingUnavailable(Conflict):
    """The shop does not send goods there this way."""

    code = "shipping_unavailable"

    def __init__(self, *, country: str, method: str) -> None:
        super().__init__(f"{method} is not offered for {country}.", country=country, shipping_method=method)


class CheckoutExpired(Conflict):
    """The offer's time is over and its stock is given back."""

    code = "checkout_expired"

    def __init__(self) -> None:
        super().__init__("This checkout has expired; start a new one.")


class CheckoutStale(Conflict):
    """The cart has changed since, or a newer checkout has replaced this one."""

    code = "checkout_stale"

    def __init__(self) -> None:
        super().__init__("The cart has changed since this checkout; start a new one.")


class QuoteMismatch(Conflict):
    """The shopper agreed to another offer than the checkout holds."""

    code = "quote_mismatch"

    def __init__(self, *, seen: Money | None, present: Money) -> None:
        super().__init__(
            "The offer is not the one that was agreed to.",
            seen_total=None if seen is None else {"amount": seen.amount, "currency": seen.currency},
            total={"amount": present.amount, "currency": present.currency},
        )


class CheckoutAlreadyOrdered(Conflict):
    """There is an order for this checkout already."""

    code = "checkout_already_ordered"

    def __init__(self, *, checkout_id: UUID) -> None:
        super().__init__("This checkout has been ordered already.", checkout_id=str(checkout_id))
