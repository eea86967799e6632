"""Stock and reservations in the states tests begin with, made by the services themselves."""

from datetime import UTC, datetime
from uuid import UUID

from shop.inventory import services
from shop.inventory.dto import StockLevel, Wanted
from shop.inventory.models import Stock
from shop.inventory.states import ReservationState
from shop.kernel.ids import new_id
from shop.kernel.transactions import open_unit_of_work

EXPIRES_AT = datetime(2026, 11, 22, 12, 15, tzinfo=UTC)
HOLDER = UUID(int=0xADA)


def stocked(**on_hand: int) -> None:
    """Put units on the shelf: `stocked(MUG=5)`."""
    with open_unit_of_work():
        services.receive(levels=[StockLevel(sku, units) for sku, units in on_hand.items()], overwrite=True)


def reserved(holder: UUID = HOLDER, /, **quantities: int) -> UUID:
    """Reserve units for a shopper, `reserved(MUG=2)`, and return the reservation's id."""
    reservation_id = new_id()
    with open_unit_of_work():
        services.reserve(
            reservation_id=reservation_id,
            holder=holder,
            lines=[Wanted(sku, quantity) for sku, quantity in quantities.items()],
            expires_at=EXPIRES_AT,
        )
    return reservation_id


def reservation_in(state: ReservationState, *, holder: UUID = HOLDER, **quantities: int) -> UUID:
    """Return a reservation that has been moved to `state` as the shop would move it."""
    reservation_id = reserved(holder, **quantities)
    with open_unit_of_work():
        if state in {ReservationState.ALLOCATED, ReservationState.COMMITTED, ReservationState.RESTOCKED}:
            services.allocate(reservation_id=reservation_id)
        if state in {ReservationState.COMMITTED, ReservationState.RESTOCKED}:
            services.commit(reservation_id=reservation_id)
        if state is ReservationState.RELEASED:
            services.release(reservation_id=reservation_id)
    if state is ReservationState.RESTOCKED:
        with open_unit_of_work():
            services.restock(reservation_id=reservation_id)
    return reservation_id


def stock_of(sku: str) -> tuple[int, int]:
    """Return `(on_hand, held)`."""
    stock = Stock.objects.get(sku=sku)
    return stock.on_hand, stock.held
