"""A payment and its refunds through every provider: redirect, callback over HTTP, money, money back."""

from datetime import datetime

import pytest
from django.test import Client
from pytest_django import Settings

from orders.dto import OrderView
from payments import services
from payments.dto import GatewaySession, Processing
from payments.models import Attempt, Callback, Refund
from payments.services import gateways
from payments.states import Source
from shop.kernel.auth.dto import Caller
from shop.kernel.clock import utc_now
from shop.kernel.money import Money
from tests.integrations.gateways.providers import THEIRS, Provider
from tests.orders.factories import placed
from tests.payments.factories import started, status_of, told

pytestmark = pytest.mark.django_db


@pytest.fixture
def now() -> datetime:
    """The present, by which the gateway's sessions run out."""
    return utc_now()


@pytest.fixture(autouse=True)
def _plugged_in(provider: Provider, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.PAYMENT_RETURN_ORIGINS = ["https://shop.example.com"]
    settings.PAYMENT_LIVE_MODE = False
    settings.GATEWAYS = {provider.name: "of the test"}
    settings.DEFAULT_GATEWAY = provider.name
    monkeypatch.setattr(gateways, "_gateway_at", lambda _path: provider.gateway)


@pytest.fixture
def order(shopper: Caller, now: datetime) -> OrderView:
    """An order that waits for its money."""
    return placed(caller=shopper, now=now)


@pytest.fixture
def attempt(shopper: Caller, order: OrderView, now: datetime) -> Attempt:
    """An attempt whose shopper is at the provider's page."""
    started(shopper, order, now)
    return Attempt.objects.get()


def call_back(provider: Provider, session: GatewaySession, *, about_refund: bool = False) -> list[Processing]:
    """Send the provider's callback to the shop over HTTP, and process what was stored."""
    body = provider.body(session, about_refund=about_refund)
    assert post(provider, body, provider.headers(body, at=utc_now())) == 200
    due = Callback.objects.filter(gateway=provider.name, state="received")
    return [services.process_callback(callback_id=callback.id, now=utc_now()) for callback in due]


def post(provider: Provider, body: bytes, headers: dict[str, str]) -> int:
    query = headers.get(":query", "")
    sent = {name: value for name, value in headers.items() if not name.startswith(":")}
    kind = sent.pop("content-type", "application/json")
    path = f"/payment-callback/{provider.name}" + (f"?{query}" if query else "")
    return Client().post(path, body, content_type=kind, headers=sent).status_code


def test_redirect_page_callback_money(provider: Provider, attempt: Attempt, order: OrderView) -> None:
    session = provider.gateway.fetch_session(attempt.session_id)
    assert attempt.redirect_url == session.redirect_url
    provider.pay(session)

    assert call_back(provider, session) == [Processing.APPLIED]

    assert status_of(attempt.id) == "succeeded"
    assert told(order) == ["payment.success"]


def test_the_next_callback_of_the_same_payment_is_not_taken_for_a_repetition(
    provider: Provider, attempt: Attempt
) -> None:
    provider.pay(provider.gateway.fetch_session(attempt.session_id))
    session = provider.gateway.fetch_session(attempt.session_id)
    call_back(provider, session)
    provider.refund_in_dashboard(session, Money(30, session.amount.currency))
    # The sandbox gives each event an id; here each of its callbacks has the same one.
    Callback.objects.filter(gateway="sandbox").delete()

    assert call_back(provider, session, about_refund=True) == [Processing.APPLIED]

    [refund] = Refund.objects.all()
    assert (refund.cause, refund.status, refund.amount) == ("external", "succeeded", 30)


def test_money_goes_back_once(provider: Provider, attempt: Attempt, now: datetime) -> None:
    session = provider.gateway.fetch_session(attempt.session_id)
    provider.pay(session)
    services.settle(attempt_id=attempt.id, source=Source.POLL, now=now)
    refund = services.request_refund(
        payment_id=attempt.id, amount=Money(30, session.amount.currency), reason="broken", now=now
    )

    for _ in range(3):
        services.settle_refund(refund_id=refund.refund_id, source=Source.STAFF, now=now)

    [found] = provider.gateway.list_refunds(session_id=session.session_id, payment_id="")
    assert (found.reference, found.amount.amount) == (str(refund.refund_id), 30)
    assert Refund.objects.get().status == "succeeded"


def test_a_callback_of_a_stranger_is_refused_and_leaves_nothing(provider: Provider, attempt: Attempt) -> None:
    session = provider.gateway.fetch_session(attempt.session_id)
    provider.pay(session)
    body = provider.body(session)

    assert post(provider, body, provider.headers(body, at=utc_now(), secret=THEIRS)) == 400
    assert post(provider, body, {}) == 400

    assert not Callback.objects.exists()
    assert status_of(attempt.id) == "pending"


def test_a_callback_about_a_payment_nobody_knows_waits(provider: Provider, attempt: Attempt) -> None:
    session = provider.gateway.fetch_session(attempt.session_id)
    stranger = GatewaySession(
        session_id="tr_0000000000",
        state=session.state,
        redirect_url="",
        reference="",
        amount=session.amount,
        captured=session.captured,
        live=False,
    )

    assert call_back(provider, stranger) == [Processing.PARKED]


def test_a_payment_the_shopper_cancelled_is_closed_at_the_provider_too(
    provider: Provider, attempt: Attempt, shopper: Caller, now: datetime
) -> None:
    services.cancel_attempt(caller=shopper, payment_id=attempt.id, now=now)

    assert status_of(attempt.id) == "cancelled"
    assert provider.gateway.fetch_session(attempt.session_id).state.value in {"closed", "expired", "cancelled"}


@pytest.mark.parametrize("heard_of_first", [False, True])
def test_a_cancellation_whose_answer_was_lost_is_one_when_it_is_repeated(
    heard_of_first: bool, provider: Provider, attempt: Attempt, shopper: Caller, now: datetime
) -> None:
    provider.gateway.close_session(attempt.session_id)
    if heard_of_first:
        services.settle(attempt_id=attempt.id, source=Source.CALLBACK, now=now)

    cancelled = services.cancel_attempt(caller=shopper, payment_id=attempt.id, now=now)

    assert (cancelled.status, cancelled.failure_code) == ("cancelled", "cancelled")
