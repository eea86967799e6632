"""Which news becomes which mail, once, and at what cost."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
from pytest_django.fixtures import Settings

from notifications import handlers
from notifications.models import Mail
from orders.dto import OrderView
from orders.errors import OrderNotFound
from orders.events import OrderCancelled, OrderCreated, OrderExpired, OrderFulfilled
from payments.events import PaymentFailed, PaymentSucceeded, RefundRejected, RefundReversed, RefundSucceeded
from shop.kernel.auth.dto import Caller
from shop.kernel.ids import new_id
from shop.kernel.money import Money
from shop.kernel.transactions import TransactionMisuse, open_unit_of_work
from tests.orders.factories import placed

pytestmark = pytest.mark.django_db

Statements = Callable[[], AbstractContextManager[list[str]]]


def created(order: OrderView) -> OrderCreated:
    return OrderCreated(
        occurred_at=order.created_at,
        order_id=order.order_id,
        number=order.number,
        user_id=order.user_id,
        guest=order.guest,
        lines=(),
        shipping=order.totals.shipping,
        tax=order.totals.tax,
        total=order.totals.total,
        payment_deadline=order.payment_deadline,
    )


def expired(order: OrderView) -> OrderExpired:
    return OrderExpired(
        occurred_at=order.payment_deadline,
        order_id=order.order_id,
        number=order.number,
        user_id=order.user_id,
        guest=order.guest,
        total=order.totals.total,
    )


def succeeded(order: OrderView) -> PaymentSucceeded:
    return PaymentSucceeded(
        occurred_at=order.created_at,
        payment_id=new_id(),
        order_id=order.order_id,
        user_id=order.user_id,
        guest=order.guest,
        gateway="sandbox",
        gateway_reference="cs_1",
        amount=order.totals.total,
    )


def failed(order: OrderView, *, reason: str = "declined", code: str = "card_declined") -> PaymentFailed:
    return PaymentFailed(
        occurred_at=order.created_at,
        payment_id=new_id(),
        order_id=order.order_id,
        user_id=order.user_id,
        guest=order.guest,
        gateway="sandbox",
        amount=order.totals.total,
        reason=reason,
        code=code,
    )


def cancelled(order: OrderView) -> OrderCancelled:
    return OrderCancelled(
        occurred_at=order.created_at,
        order_id=order.order_id,
        number=order.number,
        user_id=order.user_id,
        guest=order.guest,
        total=order.totals.total,
        reason="requested_by_staff",
        was_paid=True,
    )


def fulfilled(order: OrderView) -> OrderFulfilled:
    return OrderFulfilled(
        occurred_at=order.created_at,
        order_id=order.order_id,
        number=order.number,
        user_id=order.user_id,
        guest=order.guest,
        tracking="00340434",
    )


def decided(order: OrderView) -> dict[str, Any]:
    """Return what all news of a refund tells."""
    return {
        "occurred_at": order.created_at,
        "refund_id": new_id(),
        "payment_id": new_id(),
        "order_id": order.order_id,
        "user_id": order.user_id,
        "guest": order.guest,
        "gateway": "sandbox",
        "amount": Money(1_000, "EUR"),
        "cause": "late_payment",
    }


def hear(handler: Callable[..., None], event: object, event_id: UUID | None = None) -> None:
    with open_unit_of_work():
        handler(event=event, event_id=event_id or new_id())


def templates() -> list[str]:
    return list(Mail.objects.order_by("id").values_list("template", flat=True))


def test_a_purchase_is_told_step_by_step(order: OrderView) -> None:
    hear(handlers.order_created, created(order))
    hear(handlers.payment_failed, failed(order, code="insufficient_funds"))
    hear(handlers.payment_succeeded, succeeded(order))

    assert templates() == ["order_confirmation", "payment_failed", "payment_receipt"]


def test_a_row_holds_what_sending_needs(order: OrderView) -> None:
    event_id = new_id()
    hear(handlers.payment_failed, failed(order), event_id)

    mail = Mail.objects.get()
    assert mail.event_id == event_id
    assert (mail.recipient, mail.language, mail.order_number) == ("Ada@Example.com", "de", order.number)
    assert (mail.amount_minor, mail.currency) == (order.totals.total.amount, "EUR")
    assert (mail.state, mail.attempts, mail.failure_code) == ("pending", 0, "card_declined")
    assert (mail.user_id, mail.guest, mail.order_id) == (order.user_id, order.guest, order.order_id)


def test_the_ends_of_an_order_are_told(order: OrderView) -> None:
    hear(handlers.order_cancelled, cancelled(order))
    hear(handlers.order_fulfilled, fulfilled(order))

    called_off, sent = Mail.objects.order_by("id")
    assert (called_off.template, called_off.cause) == ("order_cancelled", "requested_by_staff")
    assert (sent.template, sent.amount_minor) == ("order_fulfilled", order.totals.total.amount)


def test_a_refund_is_told_to_whom_it_concerns(order: OrderView, settings: Settings) -> None:
    settings.SUPPORT_EMAIL = "help@shop.example.com"
    told = decided(order)
    hear(handlers.refund_succeeded, RefundSucceeded(**told))
    hear(handlers.refund_reversed, RefundReversed(**told, code="account_closed"))
    hear(handlers.refund_rejected, RefundRejected(**told, code="account_closed"))

    mails = Mail.objects.order_by("id")
    assert [(mail.template, mail.recipient, mail.language, mail.failure_code) for mail in mails] == [
        ("refund_sent", "Ada@Example.com", "de", ""),
        ("refund_reversed", "Ada@Example.com", "de", "account_closed"),
        ("refund_rejected", "help@shop.example.com", "en", "account_closed"),
    ]
    assert {(mail.amount_minor, mail.cause, mail.payment_id) for mail in mails} == {
        (1_000, "late_payment", told["payment_id"])
    }


def test_a_shop_without_a_mailbox_of_its_own_tells_no_staff(order: OrderView) -> None:
    hear(handlers.refund_rejected, RefundRejected(**decided(order), code="account_closed"))

    assert templates() == []


@pytest.mark.parametrize("reason", ["expired", "cancelled"])
def test_an_expired_order_is_told_once_and_a_cancelled_payment_not_at_all(order: OrderView, reason: str) -> None:
    hear(handlers.payment_failed, failed(order, reason=reason, code=reason))

    assert templates() == []


def test_an_order_that_ran_out_of_time_is_told(order: OrderView) -> None:
    hear(handlers.payment_failed, failed(order, reason="expired", code="expired"))
    hear(handlers.order_expired, expired(order))

    assert templates() == ["payment_expired"]


def test_the_same_event_twice_writes_one_mail_and_wakes_one_task(
    order: OrderView,
    django_capture_on_commit_callbacks: Callable[..., AbstractContextManager[list[Callable[[], None]]]],
) -> None:
    event_id = new_id()

    with django_capture_on_commit_callbacks() as first:
        hear(handlers.order_created, created(order), event_id)
    with django_capture_on_commit_callbacks() as second:
        hear(handlers.order_created, created(order), event_id)

    assert Mail.objects.count() == 1
    assert (len(first), len(second)) == (2, 0)


def test_what_is_rolled_back_is_not_told(order: OrderView) -> None:
    def fail() -> None:
        with open_unit_of_work():
            handlers.order_created(event=created(order), event_id=new_id())
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()

    assert templates() == []


def test_a_mail_is_written_inside_the_consumers_unit_of_work_only(order: OrderView) -> None:
    with pytest.raises(TransactionMisuse):
        handlers.order_created(event=created(order), event_id=new_id())

    assert templates() == []


def test_news_of_an_order_that_is_not_there_is_refused(order: OrderView) -> None:
    event = expired(order)
    event = OrderExpired(**{name: getattr(event, name) for name in event.__annotations__} | {
        "order_id": new_id(), "occurred_at": event.occurred_at,
    })  # fmt: skip

    with pytest.raises(OrderNotFound):
        hear(handlers.order_expired, event)


@pytest.mark.parametrize("lines", [1, 30])
def test_two_statements_whatever_the_number_of_lines(
    shopper: Caller, now: datetime, statements: Statements, lines: int
) -> None:
    order = placed(caller=shopper, now=now, skus=tuple(f"S{place}" for place in range(lines)))

    with open_unit_of_work(), statements() as counted:
        handlers.order_created(event=created(order), event_id=new_id())

    assert len(counted) == 2
