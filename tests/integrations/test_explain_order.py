"""One order's story: every context's part on one timeline, and what can happen next."""

import re
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import pytest
from django.core.management import CommandError
from django.db.models import F
from pytest_django.fixtures import Settings

import checkout.services
import shop.catalog.services
from integrations.kafka.models import Inbox, Parked
from notifications.models import Mail, WebhookDelivery
from notifications.tasks import send_mails
from orders.errors import OrderRefunded
from orders.models import Order
from orders.services import cancel, fulfil
from payments.dto import SessionState
from payments.models import Attempt
from shop.catalog.models import Article
from shop.kernel.auth.dto import Caller
from shop.kernel.clock import utc_now
from shop.kernel.ids import new_id
from shop.kernel.outbox.models import PendingEvent
from tests.integrations.analytics.conftest import consumed, gateway
from tests.integrations.analytics.test_flow import Shopper
from tests.integrations.kafka.replay.commands import run
from tests.notifications.webhooks import factories
from tests.notifications.webhooks.conftest import sender
from tests.payments.fakes import FakeGateway

__all__ = ["consumed", "gateway", "sender"]

pytestmark = pytest.mark.django_db(transaction=True)

EVERYBODY = ("payments", "orders", "notifications", "webhooks", "analytics")
Consumed = Callable[..., None]


@pytest.fixture
def sku() -> str:
    """Something the shop sells."""
    shop.catalog.services.seed()
    checkout.services.seed_rates()
    return Article.objects.order_by("sku").values_list("sku", flat=True)[0]


@pytest.fixture
def order(sku: str, gateway: FakeGateway, sender: factories.FakeSender, settings: Settings) -> Order:
    """An order that was declined once and then paid; nothing has been consumed or relayed yet."""
    settings.WEBHOOK_SECRET_KEYS = ["k" * 32]
    factories.endpoint(now=utc_now(), url="https://hooks.example.com/in?key=secret")
    shopper = Shopper()
    placed = shopper.order(sku)
    shopper.pay(placed, gateway, SessionState.FAILED)
    shopper.pay(placed, gateway, SessionState.PAID)
    return Order.objects.get(pk=UUID(placed["id"]))


def next_steps(printed: str) -> list[str]:
    return [line.strip() for line in printed.split("What can happen next:\n")[1].splitlines()]


def test_everything_stands_on_one_timeline_in_its_order(order: Order, consumed: Consumed) -> None:
    consumed(*EVERYBODY)
    send_mails()

    printed = run("explain_order", order.number)

    lines = printed.split("What can happen next:")[0].splitlines()
    times = [line.strip()[:19] for line in lines[1:]]
    assert lines[0] == f"Order {order.number} ({order.pk}): paid, payment paid"
    assert times == sorted(times)
    said = "\n".join(re.sub(r"^ +\S+ \S+ +", "", line) for line in lines[1:])
    for wanted in (
        "order         placed",
        "order         payment_failed",
        "order         paid",
        "pending -> failed (reader",
        "pending -> succeeded (reader",
        "event         order.created.v1 told",
        "event         payment.success.v1 handled by orders",
        "mail          payment_receipt sent",
        "webhook       order.paid written for hooks.example.com",
    ):
        assert wanted in said


def test_no_address_and_no_secret_is_printed(order: Order, consumed: Consumed) -> None:
    consumed(*EVERYBODY)

    printed = run("explain_order", order.number)

    assert "written to a***@example.com" in printed
    for personal in ("ada@example.com", "Ada Byron", "Mole 1", "24103", "key=secret"):
        assert personal not in printed


def test_it_is_found_as_a_person_types_the_number_and_by_its_id(order: Order) -> None:
    typed = order.number.lower().replace("-", " ")

    assert run("explain_order", typed) == run("explain_order", str(order.pk))


@pytest.mark.parametrize("unknown", ["AAAA-AAAA-AA", "nonsense", "01a222a8-5644-74a0-a62c-e80cc762a151"])
def test_an_unknown_number_is_one_clear_line(sku: str, unknown: str) -> None:
    with pytest.raises(CommandError, match=f"^There is no order '{unknown}'.$"):
        run("explain_order", unknown)


def test_what_waits_is_said_with_the_instant_or_the_command_that_ends_it(order: Order) -> None:
    printed = next_steps(run("explain_order", order.number))

    assert any(line.startswith("The order waits for its money until") for line in printed)
    assert "payment.success.v1 waits for the relay." in printed


def test_an_order_whose_money_has_all_gone_back_cannot_be_sent(order: Order, consumed: Consumed) -> None:
    consumed(*EVERYBODY)
    assert "The order can be sent, or cancelled, which gives its money back." in next_steps(
        run("explain_order", order.number)
    )

    Order.objects.filter(pk=order.pk).update(refunded_minor=F("captured_minor"))

    assert "All money has gone back, or is on its way: the order can be cancelled, and not be sent." in next_steps(
        run("explain_order", order.number)
    )
    with pytest.raises(OrderRefunded):
        fulfil(order_id=order.pk, tracking="", now=utc_now())
    staff = Caller(id=new_id(), guest=False, staff=True)
    assert cancel(caller=staff, order_id=order.pk, reason="", now=utc_now()).status == "cancelled"


def test_an_open_payment_says_until_when_and_when_it_is_asked_about(sku: str, gateway: FakeGateway) -> None:
    shopper = Shopper()
    placed = shopper.order(sku)
    shopper.pay(placed, gateway, SessionState.OPEN)
    attempt = Attempt.objects.get()
    assert attempt.next_poll_at

    printed = run("explain_order", placed["number"])

    assert f"waits for the gateway until {attempt.expires_at:%Y-%m-%d %H:%M:%S}." in printed
    assert f"is asked about at the gateway at {attempt.next_poll_at:%Y-%m-%d %H:%M:%S}" in printed


def test_what_a_consumer_never_handled_says_how_it_is_delivered(order: Order, consumed: Consumed) -> None:
    consumed("payments", "notifications", "webhooks", "analytics")
    PendingEvent.objects.all().delete()

    printed = next_steps(run("explain_order", order.number))

    (line,) = [line for line in printed if "orders has not handled payment.success.v1" in line]
    flags = line.split("replay_events ")[1].split()
    assert "To deliver to orders: 1" in run("replay_events", *flags)


def test_a_dead_letter_says_how_it_is_tried_again(order: Order, consumed: Consumed) -> None:
    consumed(*EVERYBODY)
    handled = Inbox.objects.filter(consumer="orders").latest("event_id")
    Parked.objects.create(
        consumer="orders", event_id=handled.event_id, type="payment.success.v1", key=str(order.pk),
        topic="payment.success", value=b"{}", headers={}, state="dead", attempts=8, next_attempt_at=utc_now(),
        last_error="Traceback\nValueError: a@b.example is odd", parked_at=utc_now(),
    )  # fmt: skip

    printed = run("explain_order", order.number)

    assert f"is a dead letter of orders: redrive --id {Parked.objects.get().id} --execute" in printed
    assert "attempts 8: ValueError: a***@b.example is odd" in printed


def test_mails_and_webhooks_that_wait_or_are_dead_are_named(order: Order, consumed: Consumed) -> None:
    consumed(*EVERYBODY)
    mail = Mail.objects.filter(template="payment_receipt")
    mail.update(state="dead", next_attempt_at=None, last_error="550 no such user")
    later = utc_now() + timedelta(hours=1)
    WebhookDelivery.objects.filter(type="order.paid").update(next_attempt_at=later, attempts=3)

    printed = run("explain_order", order.number)

    assert "The mail payment_receipt is dead: Send again in Admin > Mails (550 no such user)." in printed
    assert f"is sent from {later:%Y-%m-%d %H:%M:%S} on (3 attempts so far)." in printed


def test_when_nothing_is_left_it_says_so(order: Order, consumed: Consumed) -> None:
    consumed(*EVERYBODY)
    fulfil(order_id=order.pk, tracking="", now=utc_now())
    consumed(*EVERYBODY)
    send_mails()
    consumed(*EVERYBODY)
    PendingEvent.objects.all().delete()
    Attempt.objects.update(next_poll_at=None)
    WebhookDelivery.objects.update(state="delivered", next_attempt_at=None, settled_at=utc_now())

    assert next_steps(run("explain_order", order.number)) == ["Nothing: it is finished."]
