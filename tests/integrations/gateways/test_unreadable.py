"""An answer nobody can read is no answer: it never breaks the caller, and says nothing about the payment."""

import json
from datetime import timedelta
from typing import Any

import pytest

from integrations.gateways.mollie import MollieGateway
from integrations.gateways.stripe import StripeGateway
from payments.ports import GatewayUnavailable
from shop.kernel.clock import utc_now
from tests.integrations.gateways.factories import paid, refund_of, wished
from tests.integrations.gateways.fakes.mollie import MollieFake
from tests.integrations.gateways.fakes.server import Told
from tests.integrations.gateways.fakes.stripe import StripeFake
from tests.integrations.gateways.providers import Mollie, Provider, Stripe

ATTEMPTS = 3


@pytest.mark.parametrize("status", [400, 403, 404, 429, 502])
@pytest.mark.parametrize("error", ["forbidden", None, [], 7, {"code": 7}, {"type": ["denied"]}])
def test_an_error_that_a_proxy_words_in_its_own_way_is_no_word_of_stripes(
    status: int, error: Any, stripe_fake: StripeFake
) -> None:
    stripe_fake.fail(*[Told(status, {"error": error})] * ATTEMPTS)

    with pytest.raises(GatewayUnavailable):
        StripeGateway().create_session(wished())


@pytest.mark.parametrize("data", [None, 7, [7], [{}]])
def test_a_list_of_stripes_that_is_none_is_no_word(data: Any, stripe_fake: StripeFake) -> None:
    stripe_fake.fail(Told(200, {"object": "list", "has_more": False, "data": data}))

    with pytest.raises(GatewayUnavailable):
        list(StripeGateway().list_sessions(created_after=utc_now() - timedelta(hours=1)))


@pytest.mark.parametrize(
    "listed",
    [
        {"_embedded": {"payments": [{"createdAt": "2026-11-22T12:00:00"}]}},
        {"_embedded": {"payments": []}, "_links": {"next": {"href": "https://[nowhere"}}},
    ],
)
def test_a_list_of_mollies_that_is_none_is_no_word(listed: dict[str, Any], mollie_fake: MollieFake) -> None:
    mollie_fake.fail(Told(200, listed))

    with pytest.raises(GatewayUnavailable):
        list(MollieGateway().list_sessions(created_after=utc_now() - timedelta(hours=1)))


NO_TEXT, NO_ID, ENDLESS_ID = "nul\x00", "", "x" * 5_000


@pytest.mark.parametrize(
    "spoiled",
    [
        {"id": NO_TEXT},
        {"id": NO_ID},
        {"id": ENDLESS_ID},
        {"url": NO_TEXT},
        {"client_reference_id": NO_TEXT},
        {"payment_intent": NO_TEXT},
        {"payment_intent": ENDLESS_ID},
        {"amount_total": 2**63},
    ],
)
def test_a_session_of_stripes_that_no_table_holds_is_no_word(spoiled: dict[str, Any], stripe_fake: StripeFake) -> None:
    _assert_no_word_once_spoiled(Stripe(stripe_fake), stripe_fake.sessions, spoiled)


def test_half_a_character_of_stripes_is_no_word(stripe_fake: StripeFake) -> None:
    provider = Stripe(stripe_fake)
    session = provider.gateway.create_session(wished())
    said = stripe_fake.sessions[session.session_id] | {"client_reference_id": "\ud800"}
    stripe_fake.fail(Told(200, json.dumps(said).encode()))

    with pytest.raises(GatewayUnavailable):
        provider.gateway.fetch_session(session.session_id)


@pytest.mark.parametrize("spoiled", [{"id": NO_TEXT}, {"id": NO_ID}, {"id": ENDLESS_ID}, {"amount": 2**63}])
def test_a_refund_of_stripes_that_no_table_holds_is_no_word(spoiled: dict[str, Any], stripe_fake: StripeFake) -> None:
    provider = Stripe(stripe_fake)
    session = paid(provider)
    refund = provider.gateway.create_refund(refund_of(session, 1))
    stripe_fake.refunds[refund.refund_id] |= spoiled

    with pytest.raises(GatewayUnavailable):
        provider.gateway.fetch_refund(refund_id=refund.refund_id, session_id=session.session_id)


@pytest.mark.parametrize(
    "spoiled",
    [
        {"id": NO_TEXT},
        {"id": NO_ID},
        {"id": ENDLESS_ID},
        {"amount": {"currency": "EUR", "value": "1e5000"}},
        {"_links": {"checkout": {"href": NO_TEXT}}},
    ],
)
def test_a_payment_of_mollies_that_no_table_holds_is_no_word(spoiled: dict[str, Any], mollie_fake: MollieFake) -> None:
    _assert_no_word_once_spoiled(Mollie(mollie_fake), mollie_fake.payments, spoiled)


def _assert_no_word_once_spoiled(provider: Provider, kept: dict[str, dict[str, Any]], spoiled: dict[str, Any]) -> None:
    session = provider.gateway.create_session(wished())
    kept[session.session_id] |= spoiled

    with pytest.raises(GatewayUnavailable):
        provider.gateway.fetch_session(session.session_id)
