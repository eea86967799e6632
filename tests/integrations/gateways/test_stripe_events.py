"""What is Stripe's own of callbacks: its events, where they lead, and how its library signs them."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import stripe
from pytest_django import Settings

from payments.ports import CallbackInvalid
from tests.integrations.gateways.providers import OURS, Provider

pytestmark = pytest.mark.parametrize("provider", ["stripe"], indirect=True)

REFUND = {"id": "re_1", "object": "refund", "payment_intent": "pi_1"}
SESSION = {"id": "cs_1", "object": "checkout.session", "payment_intent": "pi_1"}


def event(kind: str, about: dict[str, Any], **changes: Any) -> bytes:
    told = {"id": "evt_1", "type": kind, "created": 1_795_000_000, "livemode": False, "data": {"object": about}}
    return json.dumps(told | changes).encode()


def parsed(provider: Provider, body: bytes) -> list[tuple[str, str, bool]]:
    now = datetime.now(UTC)
    messages = provider.gateway.parse_callback(body=body, headers=provider.headers(body, at=now), now=now)
    return [(message.type, message.session_id, message.concerns_refunds) for message in messages]


@pytest.mark.parametrize(
    ("kind", "about", "leads_to", "concerns_refunds"),
    [
        ("checkout.session.completed", SESSION, "cs_1", False),
        ("checkout.session.async_payment_succeeded", SESSION, "cs_1", False),
        ("checkout.session.async_payment_failed", SESSION, "cs_1", False),
        ("checkout.session.expired", SESSION, "cs_1", False),
        ("payment_intent.succeeded", {"id": "pi_1"}, "pi_1", False),
        ("charge.succeeded", {"id": "ch_1", "payment_intent": "pi_1"}, "pi_1", False),
        ("charge.refunded", {"id": "ch_1", "payment_intent": "pi_1"}, "pi_1", True),
        ("charge.refund.updated", REFUND, "pi_1", True),
        ("refund.created", REFUND, "pi_1", True),
        ("refund.failed", REFUND, "pi_1", True),
    ],
)
def test_events_lead_to_a_session_or_its_money(
    kind: str, about: dict[str, Any], leads_to: str, concerns_refunds: bool, provider: Provider
) -> None:
    assert parsed(provider, event(kind, about)) == [(kind, leads_to, concerns_refunds)]


@pytest.mark.parametrize(
    ("kind", "about"),
    [("customer.created", {"id": "cus_1"}), ("charge.refunded", {"id": "ch_1", "payment_intent": None})],
)
def test_events_about_nothing_of_ours_are_believed_and_say_nothing(
    kind: str, about: dict[str, Any], provider: Provider
) -> None:
    assert parsed(provider, event(kind, about)) == []


def test_an_event_tells_its_id_and_its_time(provider: Provider) -> None:
    body, now = event("checkout.session.completed", SESSION), datetime.now(UTC)

    (message,) = provider.gateway.parse_callback(body=body, headers=provider.headers(body, at=now), now=now)

    assert (message.event_id, message.occurred_at) == ("evt_1", datetime.fromtimestamp(1_795_000_000, UTC))


@pytest.mark.parametrize(("ours", "theirs"), [(True, False), (False, True)])
def test_an_event_of_the_other_mode_is_refused(
    ours: bool, theirs: bool, provider: Provider, settings: Settings
) -> None:
    settings.PAYMENT_LIVE_MODE = ours

    with pytest.raises(CallbackInvalid):
        parsed(provider, event("checkout.session.completed", SESSION, livemode=theirs))


@pytest.mark.parametrize(
    "changes",
    [
        {"id": ""},
        {"id": "e" * 201},
        {"id": 7},
        {"type": None},
        {"created": "now"},
        {"created": 10**12},
        {"created": 10**18},
        {"created": -(10**30)},
        {"data": []},
        {"data": {"object": 1}},
    ],
)
def test_what_is_signed_but_no_event_is_refused(changes: dict[str, Any], provider: Provider) -> None:
    with pytest.raises(CallbackInvalid):
        parsed(provider, event("checkout.session.completed", SESSION, **changes))


def test_our_way_of_signing_here_is_the_librarys(provider: Provider) -> None:
    now = datetime.now(UTC)
    body = event("checkout.session.completed", SESSION)

    theirs = stripe.WebhookSignature.generate_signature_header(body.decode(), OURS, int(now.timestamp()))

    assert provider.headers(body, at=now) == {"stripe-signature": theirs}


def test_the_library_alone_would_believe_an_event_from_the_future(provider: Provider) -> None:
    ahead = datetime.now(UTC) + timedelta(days=1)
    body = event("checkout.session.completed", SESSION, object="event")
    header = provider.headers(body, at=ahead)["stripe-signature"]

    assert stripe.Webhook.construct_event(body, header, OURS).id == "evt_1"
