"""What is Stripe's own: its words, its currencies, its refusals, its library."""

import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest
from pytest_django import Settings

from integrations.gateways.stripe import StripeGateway
from payments.dto import GatewaySession, RefundRequest, RefundState, SessionRequest, SessionState
from payments.ports import GatewayRefused, GatewayUnavailable
from shop.kernel.clock import utc_now
from shop.kernel.money import Money
from tests.integrations.gateways.factories import refund_of, wished
from tests.integrations.gateways.fakes.server import Told
from tests.integrations.gateways.fakes.stripe import StripeFake
from tests.integrations.gateways.providers import Stripe
from tests.integrations.sandbox_gateway.harness import ROOT


@pytest.fixture
def provider(stripe_fake: StripeFake) -> Stripe:
    return Stripe(stripe_fake)


@pytest.fixture
def gateway(provider: Stripe) -> StripeGateway:
    return StripeGateway()


@pytest.fixture
def paid(provider: Stripe) -> GatewaySession:
    session = provider.gateway.create_session(wished())
    provider.pay(session)
    return provider.gateway.fetch_session(session.session_id)


# --- sessions ---


def test_a_session_is_asked_for_in_stripes_words(gateway: StripeGateway, stripe_fake: StripeFake) -> None:
    request = wished()

    session = gateway.create_session(request)

    kept = stripe_fake.sessions[session.session_id]
    assert (kept["mode"], kept["amount_total"], kept["currency"]) == ("payment", 2_870, "eur")
    assert kept["client_reference_id"] == kept["metadata"]["reference"] == request.reference
    assert kept["_intended"] == {"metadata": {"reference": request.reference}}
    assert kept["success_url"] == kept["cancel_url"] == request.return_url
    assert 0 <= kept["expires_at"] - request.expires_at.timestamp() - 30 * 60 <= 1
    assert stripe_fake.asked[-1].key == request.idempotency_key


@pytest.mark.parametrize("window", [timedelta(seconds=20), timedelta(minutes=30), timedelta(hours=23)])
def test_stripe_takes_every_window_of_ours(gateway: StripeGateway, window: timedelta) -> None:
    assert gateway.create_session(wished(expires_at=utc_now() + window)).state is SessionState.OPEN


def test_a_window_longer_than_stripes_is_refused(gateway: StripeGateway) -> None:
    with pytest.raises(GatewayRefused):
        gateway.create_session(wished(expires_at=utc_now() + timedelta(hours=24)))


def test_a_session_that_ran_out_is_closed(gateway: StripeGateway, stripe_fake: StripeFake) -> None:
    session = gateway.create_session(wished())
    stripe_fake.run_out(session.session_id)

    assert gateway.fetch_session(session.session_id).state is SessionState.CLOSED
    assert gateway.close_session(session.session_id).state is SessionState.CLOSED


def test_the_money_leads_to_its_session(gateway: StripeGateway, paid: GatewaySession) -> None:
    assert paid.payment_id.startswith("pi_")
    assert gateway.fetch_session(paid.payment_id) == paid
    with pytest.raises(GatewayRefused):
        gateway.fetch_session("pi_unheard_of")


def test_what_stripe_keeps_is_told(paid: GatewaySession) -> None:
    assert paid.fee == Money(86, "EUR")


def test_a_fee_in_another_currency_is_not_guessed(gateway: StripeGateway, stripe_fake: StripeFake) -> None:
    session = gateway.create_session(wished())
    stripe_fake.pay(session.session_id, status="processing")
    stripe_fake.bank_pays(session.session_id, fee_currency="usd")

    word = gateway.fetch_session(session.session_id)

    assert (word.state, word.fee) == (SessionState.PAID, None)


def test_a_card_refused_leaves_the_session_open(gateway: StripeGateway, stripe_fake: StripeFake) -> None:
    session = gateway.create_session(wished())

    # Checkout lets the shopper try another card: only money that needs days can fail at the end.
    assert stripe_fake.sessions[session.session_id]["payment_intent"] is None
    assert gateway.fetch_session(session.session_id).state is SessionState.OPEN


def test_sessions_that_are_no_payments_are_nobodys_business_here(
    gateway: StripeGateway, stripe_fake: StripeFake
) -> None:
    session = gateway.create_session(wished())
    stripe_fake.sessions["cs_test_setup"] = stripe_fake.sessions[session.session_id] | {
        "id": "cs_test_setup",
        "mode": "setup",
        "amount_total": None,
        "currency": None,
    }

    assert [found.session_id for found in gateway.list_sessions(created_after=utc_now() - timedelta(hours=1))] == [
        session.session_id
    ]


@pytest.mark.parametrize(
    "spoiled",
    [
        {"status": "melted"},
        {"status": "complete", "payment_status": "half"},
        {"currency": "zzz"},
        {"amount_total": 1.5},
        {"id": None},
        {"livemode": "no"},
        {"created": 10**12},
        {"created": 10**18},
        {"created": -(10**30)},
    ],
)
def test_a_word_we_do_not_understand_is_no_word(
    spoiled: dict[str, Any], gateway: StripeGateway, stripe_fake: StripeFake
) -> None:
    session = gateway.create_session(wished())
    stripe_fake.sessions[session.session_id] |= spoiled

    with pytest.raises(GatewayUnavailable, match="in words we do not know"):
        gateway.fetch_session(session.session_id)


def test_real_money_is_called_live(stripe_fake: StripeFake, settings: Settings) -> None:
    stripe_fake.live = True
    stripe_fake.authorization = "Bearer rk_live_of_the_tests"
    settings.STRIPE_SECRET_KEY = "rk_live_of_the_tests"
    provider = Stripe(stripe_fake)

    session = provider.gateway.create_session(wished())
    provider.pay(session)
    paid = provider.gateway.fetch_session(session.session_id)

    assert paid.live
    assert provider.gateway.create_refund(refund_of(paid, 1)).live


# --- currencies ---


@pytest.mark.parametrize(
    ("money", "count"),
    [
        (Money(500, "JPY"), 500),
        (Money(500, "ISK"), 50_000),
        (Money(5_120, "KWD"), 5_120),
        (Money(500, "MGA"), 5),
        (Money(2_870, "EUR"), 2_870),
    ],
)
def test_stripe_counts_some_currencies_in_its_own_way(
    money: Money, count: int, gateway: StripeGateway, stripe_fake: StripeFake
) -> None:
    session = gateway.create_session(wished(amount=money))

    assert stripe_fake.sessions[session.session_id]["amount_total"] == count
    assert session.amount == money


@pytest.mark.parametrize("money", [Money(5_124, "KWD"), Money(501, "MGA"), Money(500, "UGX")])
def test_what_stripe_cannot_take_to_the_last_digit_is_refused_before_anything_is_asked(
    money: Money, gateway: StripeGateway, stripe_fake: StripeFake
) -> None:
    with pytest.raises(GatewayRefused) as refused:
        gateway.create_session(wished(amount=money))

    assert refused.value.code in {"amount_not_payable", "currency_not_payable"}
    assert stripe_fake.asked == []


@pytest.mark.parametrize("spoiled", [{"amount_total": 50_001}, {"currency": "ugx"}])
def test_an_amount_we_cannot_read_to_the_last_digit_is_no_word(
    spoiled: dict[str, Any], gateway: StripeGateway, stripe_fake: StripeFake
) -> None:
    session = gateway.create_session(wished(amount=Money(500, "ISK")))
    stripe_fake.sessions[session.session_id] |= spoiled

    with pytest.raises(GatewayUnavailable):
        gateway.fetch_session(session.session_id)


# --- refunds ---


def test_a_refund_asked_for_again_after_the_key_was_forgotten_is_not_made_twice(
    gateway: StripeGateway, stripe_fake: StripeFake, paid: GatewaySession
) -> None:
    request = refund_of(paid, 700)
    first = gateway.create_refund(request)
    stripe_fake.keys.clear()

    assert gateway.create_refund(request) == first
    assert len(stripe_fake.refunds) == 1


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("pending", RefundState.PENDING),
        ("requires_action", RefundState.PENDING),
        ("succeeded", RefundState.SUCCEEDED),
        ("failed", RefundState.REJECTED),
        ("canceled", RefundState.REJECTED),
    ],
)
def test_refunds_have_stripes_states(
    status: str, state: RefundState, gateway: StripeGateway, stripe_fake: StripeFake, paid: GatewaySession
) -> None:
    stripe_fake.next_refund = status

    assert gateway.create_refund(refund_of(paid, 1)).state is state


def test_a_refund_in_a_state_nobody_knows_is_no_word(
    gateway: StripeGateway, stripe_fake: StripeFake, paid: GatewaySession
) -> None:
    stripe_fake.next_refund = "melted"

    with pytest.raises(GatewayUnavailable):
        gateway.create_refund(refund_of(paid, 1))


def test_a_refund_of_no_session_at_all_is_refused(gateway: StripeGateway) -> None:
    request = RefundRequest("refund-1", "r", "cs_unheard_of", "", Money(1, "EUR"))

    with pytest.raises(GatewayRefused):
        gateway.create_refund(request)


# --- trouble ---


@pytest.mark.parametrize(
    ("told", "error"),
    [
        (Told(400, {"error": {"type": "invalid_request_error", "param": "amount"}}), GatewayRefused),
        (Told(402, {"error": {"type": "card_error", "code": "card_declined"}}), GatewayRefused),
        (Told(404, {"error": {"type": "invalid_request_error", "code": "resource_missing"}}), GatewayRefused),
        (Told(400, {"error": {"type": "idempotency_error"}}), GatewayUnavailable),
        (Told(401, {"error": {"type": "invalid_request_error"}}), GatewayUnavailable),
        (Told(403, {"error": {"type": "invalid_request_error"}}), GatewayUnavailable),
        (Told(429, {"error": {"type": "rate_limit_error", "code": "rate_limit"}}), GatewayUnavailable),
        (Told(302, {}, {"location": "http://127.0.0.1:1/steal"}), GatewayUnavailable),
        (Told(400, {}), GatewayUnavailable),
        (Told(400, b"<html>"), GatewayUnavailable),
        (Told(200, b"<html>"), GatewayUnavailable),
        (Told(200, b"\xff\xfe"), GatewayUnavailable),
        (Told(200, []), GatewayUnavailable),
        (Told(200, {}), GatewayUnavailable),
    ],
)
def test_only_what_says_no_to_the_request_is_a_refusal(
    told: Told, error: type[Exception], gateway: StripeGateway, stripe_fake: StripeFake
) -> None:
    stripe_fake.fail(told)

    with pytest.raises(error):
        gateway.create_session(wished())


def test_nothing_of_stripes_sentence_goes_any_further(gateway: StripeGateway, stripe_fake: StripeFake) -> None:
    told = {"type": "invalid_request_error", "message": "No such customer 4242424242424242 with sk_test_secret"}
    stripe_fake.fail(Told(400, {"error": told}))

    with pytest.raises(GatewayRefused) as refused:
        gateway.create_session(wished())

    assert str(refused.value) == "The gateway refused: invalid_request_error."


def test_nobody_listening_is_a_gateway_that_is_down(gateway: StripeGateway, stripe_fake: StripeFake) -> None:
    stripe_fake.close()

    with pytest.raises(GatewayUnavailable):
        gateway.fetch_session("cs_test_1")


# --- shops without it ---


def test_a_shop_that_does_not_use_stripe_never_loads_its_library() -> None:
    script = (
        "import sys, django; django.setup(); import payments.services.gateways, integrations.gateways.sandbox, "
        "integrations.gateways.mollie; from django.conf import settings; "
        "assert 'stripe' not in settings.GATEWAYS; print('stripe' in sys.modules)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={"DJANGO_SETTINGS_MODULE": "settings.test", "PATH": "/usr/bin:/bin", "SHOP_STATE_DIR": "/nonexistent"},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )

    assert (answer.stdout.strip(), answer.returncode) == ("False", 0), answer.stderr


def test_the_same_request_is_worded_the_same_each_time(gateway: StripeGateway, stripe_fake: StripeFake) -> None:
    request: SessionRequest = wished()

    gateway.create_session(request)
    gateway.create_session(request)

    first, again = stripe_fake.asked
    assert (first.body, first.key) == (again.body, again.key)
