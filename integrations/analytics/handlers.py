"""Facts become user actions on `analytics.events`; user actions become counts.

The names are those of Segment's e-commerce spec v2 (https://segment.com/docs/connections/spec/ecommerce/v2/). Where it
has no word for what a shop needs to know, the name is our own: Order Placed, Order Expired, Order Fulfilled, Payment
Redirected, Payment Succeeded, Payment Failed, Refund Rejected, Refund Reversed, Notification Sent.
"""

from uuid import UUID

from integrations.analytics import services
from orders.events import OrderCancelled, OrderCreated, OrderExpired, OrderFulfilled, OrderPaid
from payments.events import PaymentFailed, PaymentSucceeded, RefundRejected, RefundReversed, RefundSucceeded
from shop.kernel.events import UserAction
from shop.kernel.money import Money
from shop.kernel.outbox.services import publish

OrderFact = OrderCancelled | OrderCreated | OrderExpired | OrderFulfilled | OrderPaid
RefundFact = RefundRejected | RefundReversed | RefundSucceeded
Fact = OrderFact | PaymentFailed | PaymentSucceeded | RefundFact


def order_created(*, event: OrderCreated, event_id: UUID) -> None:
    """Tell that an order was placed."""
    units = sum(line.quantity for line in event.lines)
    _tell("Order Placed", fact=event, fact_id=event_id, money=event.total, item_count=units, lines=len(event.lines))


def order_paid(*, event: OrderPaid, event_id: UUID) -> None:
    """Tell that an order is complete: its money is in, or it costs nothing and no payment brought any."""
    payment_id = str(event.payment_id) if event.payment_id else None
    _tell("Order Completed", fact=event, fact_id=event_id, money=event.total, payment_id=payment_id)


def order_cancelled(*, event: OrderCancelled, event_id: UUID) -> None:
    """Tell that an order was called off."""
    _tell("Order Cancelled", fact=event, fact_id=event_id, money=event.total, was_paid=event.was_paid)


def order_expired(*, event: OrderExpired, event_id: UUID) -> None:
    """Tell that nobody paid in time."""
    _tell("Order Expired", fact=event, fact_id=event_id, money=event.total)


def order_fulfilled(*, event: OrderFulfilled, event_id: UUID) -> None:
    """Tell that the goods are on their way."""
    _tell("Order Fulfilled", fact=event, fact_id=event_id, money=None)


def payment_succeeded(*, event: PaymentSucceeded, event_id: UUID) -> None:
    """Tell that the gateway has the money."""
    _tell(
        "Payment Succeeded",
        fact=event,
        fact_id=event_id,
        money=event.amount,
        payment_id=str(event.payment_id),
        gateway=event.gateway,
    )


def payment_failed(*, event: PaymentFailed, event_id: UUID) -> None:
    """Tell that an attempt brought no money, and why."""
    _tell(
        "Payment Failed",
        fact=event,
        fact_id=event_id,
        money=event.amount,
        payment_id=str(event.payment_id),
        gateway=event.gateway,
        reason=event.reason,
    )


def refund_succeeded(*, event: RefundSucceeded, event_id: UUID) -> None:
    """Tell that money went back, and why."""
    _tell_refund("Order Refunded", event, event_id)


def refund_rejected(*, event: RefundRejected, event_id: UUID) -> None:
    """Tell that the gateway refused to give money back."""
    _tell_refund("Refund Rejected", event, event_id)


def refund_reversed(*, event: RefundReversed, event_id: UUID) -> None:
    """Tell that money that had gone back came back."""
    _tell_refund("Refund Reversed", event, event_id)


def user_action(*, event: UserAction, event_id: UUID) -> None:  # noqa: ARG001  every handler takes it
    """Count an action."""
    services.count(action=event)


def _tell_refund(name: str, fact: RefundFact, fact_id: UUID) -> None:
    _tell(
        name,
        fact=fact,
        fact_id=fact_id,
        money=fact.amount,
        refund_id=str(fact.refund_id),
        payment_id=str(fact.payment_id),
        gateway=fact.gateway,
        cause=fact.cause,
    )


def _tell(name: str, *, fact: Fact, fact_id: UUID, money: Money | None, **properties: str | int | bool | None) -> None:
    figures: dict[str, str | int | bool | None] = {"amount": money.amount, "currency": money.currency} if money else {}
    publish(
        UserAction(
            occurred_at=fact.occurred_at,
            user_id=fact.user_id,
            guest=fact.guest,
            name=name,
            properties={
                "fact_id": str(fact_id),
                "order_id": str(fact.order_id),
                **figures,
                **properties,
            },
        )
    )
