"""Payments on the sandbox's real process: from the redirect to the money, with what can go wrong on the way."""

from datetime import datetime, timedelta

import pytest
from django.test import Client
from pytest_django import Settings

from integrations.gateways.sandbox import SandboxGateway
from orders.dto import OrderView
from payments import services
from payments.dto import Expiration, Processing
from payments.errors import GatewayDown
from payments.models import Attempt, Callback
from payments.services import gateways
from payments.states import Source
from shop.kernel.auth.dto import Caller
from shop.kernel.clock import utc_now
from tests.integrations.gateways.conftest import Ear
from tests.integrations.gateways.providers import LATE_SECONDS, impatient
from tests.integrations.sandbox_gateway.harness import DECLINED, Gateway, eventually
from tests.orders.factories import again, placed
from tests.payments.factories import history, started, status_of, told

pytestmark = pytest.mark.django_db


@pytest.fixture
def now() -> datetime:
    """The present, by which the gateway's sessions run out."""
    return utc_now()


@pytest.fixture(autouse=True)
def _plugged_in(sandbox: SandboxGateway, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.PAYMENT_RETURN_ORIGINS = ["https://shop.example.com"]
    settings.PAYMENT_LIVE_MODE = False
    monkeypatch.setattr(gateways, "_gateway_at", lambda _path: sandbox)


@pytest.fixture
def order(shopper: Caller, now: datetime) -> OrderView:
    """An order that waits for its money."""
    return placed(caller=shopper, now=now)


def call_back(ear: Ear, session_id: str) -> None:
    """Hand the gateway's own callbacks about the session to the shop, byte by byte, and process them."""
    heard = eventually(lambda: [each for each in ear.heard if session_id.encode() in each[0]])
    for body, headers in heard:
        named = {name: value for name, value in headers.items() if name.startswith("webhook-")}
        answer = Client().post("/payment-callback", body, content_type="application/json", headers=named)
        assert (answer.status_code, answer.json()) == (200, {"received": True})
    for callback in Callback.objects.filter(session_id=session_id, state="received"):
        assert services.process_callback(callback_id=callback.id, now=utc_now()) is Processing.APPLIED


def test_redirect_page_callback_money(
    shopper: Caller, order: OrderView, process: Gateway, ear: Ear, now: datetime
) -> None:
    payment = started(shopper, order, now).payment
    session_id = Attempt.objects.get().session_id
    back = process.pay(session_id).headers["location"]

    call_back(ear, session_id)

    assert back == f"https://shop.example.com/thanks?payment_id={payment.payment_id}"
    assert status_of(payment.payment_id) == "succeeded"
    assert told(order) == ["payment.success"]


def test_declined_and_then_paid(shopper: Caller, order: OrderView, process: Gateway, ear: Ear, now: datetime) -> None:
    first = started(shopper, order, now).payment
    session_id = Attempt.objects.get().session_id
    process.pay(session_id, DECLINED)
    call_back(ear, session_id)

    second = started(shopper, order, now).payment
    session_id = Attempt.objects.get(id=second.payment_id).session_id
    process.pay(session_id)
    call_back(ear, session_id)

    assert (status_of(first.payment_id), status_of(second.payment_id)) == ("failed", "succeeded")
    assert told(order) == ["payment.failed", "payment.success"]


def test_a_gateway_that_did_it_and_did_not_answer_ends_in_one_session_and_money(
    shopper: Caller, order: OrderView, process: Gateway, sandbox: SandboxGateway, now: datetime
) -> None:
    process.faults(timeout_after_doing=1, slow_seconds={"seconds": LATE_SECONDS, "count": 1})
    with impatient(), pytest.raises(GatewayDown):
        started(shopper, order, now)
    assert Attempt.objects.get().status == "unknown"

    payment = started(shopper, order, now).payment
    process.pay(Attempt.objects.get().session_id)
    services.settle(attempt_id=payment.payment_id, source=Source.READER, now=utc_now())

    assert [to for _, to in history(payment.payment_id)] == ["created", "unknown", "pending", "succeeded"]
    assert len(list(sandbox.list_sessions(created_after=now - timedelta(milliseconds=2)))) == 1


def test_a_dropped_callback_is_made_up_for_by_polling(
    shopper: Caller, order: OrderView, process: Gateway, now: datetime
) -> None:
    payment = started(shopper, order, now).payment
    process.faults(drop_callbacks=True)
    process.pay(Attempt.objects.get().session_id)

    services.poll(attempt_id=payment.payment_id, now=now + timedelta(minutes=1))

    assert told(order) == ["payment.success"]


def test_a_lie_about_the_amount_pays_nothing_until_a_person_has_asked(
    shopper: Caller, order: OrderView, process: Gateway, now: datetime
) -> None:
    payment = started(shopper, order, now).payment
    process.pay(Attempt.objects.get().session_id)
    process.faults(wrong_amount=True)
    services.settle(attempt_id=payment.payment_id, source=Source.CALLBACK, now=utc_now())
    quarantined = Attempt.objects.get()
    process.faults()

    services.settle(attempt_id=payment.payment_id, source=Source.STAFF, now=utc_now())

    assert (quarantined.status, quarantined.needs_review) == ("pending", True)
    assert status_of(payment.payment_id) == "succeeded"


def test_nobody_pays_and_the_page_takes_no_card_any_more(
    shopper: Caller, order: OrderView, process: Gateway, now: datetime
) -> None:
    started(shopper, order, now)
    session_id = Attempt.objects.get().session_id

    result = services.expire_order(order_id=order.order_id, now=order.payment_deadline)

    assert result is Expiration.EXPIRED
    assert again(order).status == "expired"
    assert process.fetch(session_id)["status"] == "closed"
    assert process.pay(session_id).status == 409


def test_money_after_the_session_was_closed_is_money(
    shopper: Caller, order: OrderView, process: Gateway, ear: Ear, now: datetime
) -> None:
    payment = started(shopper, order, now).payment
    session_id = Attempt.objects.get().session_id
    services.expire_order(order_id=order.order_id, now=order.payment_deadline)
    process.faults(pay_after_close=1)
    process.pay(session_id)

    eventually(lambda: len([each for each in ear.heard if session_id.encode() in each[0]]) == 2)
    call_back(ear, session_id)

    assert history(payment.payment_id)[-1] == ("expired", "succeeded")
    assert told(order) == ["payment.failed", "payment.success"]
