"""What payments does on news of orders."""

from uuid import UUID

from orders.events import OrderCancelled, OrderCreated, OrderFulfilled
from payments.services import NewPayable, close_payable, open_payable, post_sale
from shop.kernel.clock import utc_now


def order_created(*, event: OrderCreated, event_id: UUID) -> None:  # noqa: ARG001  the handlers' common shape
    """Open the order's payable, so that the first payment finds it; an order that costs nothing has none."""
    if not event.total:
        return
    open_payable(
        payable=NewPayable(
            order_id=event.order_id,
            user_id=event.user_id,
            guest=event.guest,
            number=event.number,
            total=event.total,
            deadline=event.payment_deadline,
        )
    )


def order_cancelled(*, event: OrderCancelled, event_id: UUID) -> None:  # noqa: ARG001  the handlers' common shape
    """Take no more money for the order, and have the session of an open payment closed."""
    close_payable(
        payable=NewPayable(
            order_id=event.order_id,
            user_id=event.user_id,
            guest=event.guest,
            number=event.number,
            total=event.total,
            deadline=event.occurred_at,
        ),
        now=utc_now(),
    )


def order_fulfilled(*, event: OrderFulfilled, event_id: UUID) -> None:  # noqa: ARG001  the handlers' common shape
    """Turn what the order owes its customer into revenue; an order that cost nothing has none."""
    post_sale(order_id=event.order_id, now=utc_now())
