"""What payments does on news of orders."""

from uuid import UUID

from orders.events import OrderCancelled, OrderCreated, OrderFulfilled, OrderRefundDue
from payments.services import NewPayable, close_payable, open_payable, post_sale, request_due_refund
from payments.states import RefundCause
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


def order_refund_due(*, event: OrderRefundDue, event_id: UUID) -> None:
    """Give back what the order cannot keep, once for each event; it is sent after the commit."""
    request_due_refund(
        payment_id=event.payment_id,
        amount=event.amount,
        cause=RefundCause(event.reason),
        due_event_id=event_id,
        now=utc_now(),
    )
