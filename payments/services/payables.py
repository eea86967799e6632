"""What orders tell: money to ask for, and money nobody wants any more."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from payments.models import Attempt, Payable
from payments.states import OPEN, PayableState
from shop.kernel.money import Money
from shop.kernel.transactions import joins_unit_of_work


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPayable:
    """An order's money, as one of its events or its own queries describe it."""

    order_id: UUID
    user_id: UUID
    guest: bool
    number: str
    total: Money
    deadline: datetime


@joins_unit_of_work
def open_payable(*, payable: NewPayable, state: PayableState = PayableState.OPEN) -> None:
    """Open the order's payable; one that is there already stays as it is, closed ones included."""
    row = Payable(
        order_id=payable.order_id,
        user_id=payable.user_id,
        guest=payable.guest,
        number=payable.number,
        amount=payable.total.amount,
        currency=payable.total.currency,
        deadline=payable.deadline,
        state=state.value,
    )
    Payable.objects.bulk_create([row], ignore_conflicts=True)


@joins_unit_of_work
def close_payable(*, payable: NewPayable, now: datetime) -> None:
    """Let no further attempt begin, and have the clock close the open one at the gateway.

    The news of the cancellation may overtake the news of the order, so the payable may have to be made first.
    """
    open_payable(payable=payable, state=PayableState.CLOSED)
    Payable.objects.filter(order_id=payable.order_id, state=PayableState.OPEN).update(state=PayableState.CLOSED)
    opened = [status.value for status in OPEN]
    Attempt.objects.filter(payable_id=payable.order_id, status__in=opened).update(close_wanted=True, next_poll_at=now)
