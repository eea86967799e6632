"""What orders needs from outside, as a Protocol that settings fill in (`MONEY_GOING_BACK`)."""

from collections.abc import Mapping
from typing import Protocol
from uuid import UUID


class MoneyGoingBack(Protocol):
    """How much of an order's money is on its way back, or back already, payment by payment.

    Asked inside the transaction that sends the goods: an implementation reads tables or memory, never the network.
    """

    def __call__(self, *, order_id: UUID) -> Mapping[UUID, int]:
        """Return it in minor units; payments that keep all they brought are missing."""
