"""What is Mollie's own: its words, its addresses for callbacks, keys forgotten after an hour."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from pytest_django import Settings

from integrations.gateways.mollie import MollieGateway, webhook_url
from payments.dto import GatewaySession, RefundState, SessionState
from payments.ports import CallbackInvalid, GatewayRefused, GatewayUnavailable
from shop.kernel.clock import utc_now
from shop.kernel.money import Money
from tests.integrations.gateways.factories import refund_of, wished
from tests.integrations.gateways.fakes.mollie import MollieFake
from tests.integrations.gateways.fakes.server import Told
from tests.integrations.gateways.providers import Mollie


@pytest.fixture
def provider(mollie_fake: MollieFake) -> Mollie:
    return Mollie(mollie_fake)


@pytest.fixture
def gateway(provider: Mollie) -> MollieGateway:
    return MollieGateway()


@pytest.fixture
def paid(provider: Mollie) -> GatewaySession:
    session = provider.gateway.create_session(wished())
    provider.pay(session)
    return provider.gateway.fetch_session(session.session_id)


# --- payments ---


def test_a_payment_is_asked_for_in_mollies_words(gateway: MollieGateway, mollie_fake: MollieFake) -> None:
    request = wished()

    session = gateway.create_session(request)

    kept = mollie_fake.payments[session.session_id]
    assert kept["amount"] == {"currency": "EUR", "value": "28.70"}
    assert kept["metadata"] == {"reference": request.reference}
    assert (kept["description"], kept["redirectUrl"]) == (request.reference, request.return_url)
    assert kept["webhookUrl"] == webhook_url(reference=request.reference)
    assert session.redirect_url == f"{mollie_fake.url}/checkout/{session.session_id}"
    assert mollie_fake.asked[-1].key == request.idempotency_key


def test_where_mollie_cannot_call_no_address_is_given(
    gateway: MollieGateway, mollie_fake: MollieFake, settings: Settings
) -> None:
    settings.PUBLIC_URL = "http://127.0.0.1:8000"

    session = gateway.create_session(wished())

    assert mollie_fake.payments[session.session_id]["webhookUrl"] is None


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("pending", SessionState.PROCESSING),
        ("authorized", SessionState.PROCESSING),
        ("paid", SessionState.PAID),
        ("failed", SessionState.FAILED),
        ("canceled", SessionState.CANCELLED),
        ("expired", SessionState.EXPIRED),
    ],
)
def test_payments_have_mollies_states(
    status: str, state: SessionState, gateway: MollieGateway, mollie_fake: MollieFake
) -> None:
    session = gateway.create_session(wished())
    mollie_fake.move(session.session_id, status)

    word = gateway.fetch_session(session.session_id)

    assert word.state is state
    assert word.captured == Money(2_870 if state is SessionState.PAID else 0, "EUR")


def test_a_payment_that_cannot_be_cancelled_comes_back_as_it_is(
    gateway: MollieGateway, mollie_fake: MollieFake
) -> None:
    mollie_fake.cancelable = False
    session = gateway.create_session(wished())

    assert gateway.close_session(session.session_id).state is SessionState.OPEN
    assert [asked.method for asked in mollie_fake.asked] == ["POST", "GET"]


def test_a_payment_that_was_paid_while_it_was_being_cancelled_comes_back_paid(
    gateway: MollieGateway, mollie_fake: MollieFake, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = gateway.create_session(wished())
    answer = mollie_fake.answer

    def paid_just_before(asked: Any) -> Told:
        if asked.method == "DELETE":
            mollie_fake.move(session.session_id, "paid")
        return answer(asked)

    monkeypatch.setattr(mollie_fake, "answer", paid_just_before)

    assert gateway.close_session(session.session_id).state is SessionState.PAID


@pytest.mark.parametrize(
    "spoiled",
    [
        {"status": "melted"},
        {"amount": {"currency": "ZZZ", "value": "1.00"}},
        {"amount": {"currency": "EUR", "value": "1.005"}},
        {"amount": {"currency": "EUR", "value": 1}},
        {"id": None},
        {"createdAt": "yesterday"},
    ],
)
def test_a_word_we_do_not_understand_is_no_word(
    spoiled: dict[str, Any], gateway: MollieGateway, mollie_fake: MollieFake
) -> None:
    session = gateway.create_session(wished())
    mollie_fake.payments[session.session_id] |= spoiled

    with pytest.raises(GatewayUnavailable, match="in words we do not know"):
        gateway.fetch_session(session.session_id)


@pytest.mark.parametrize("metadata", [None, "text", ["list"], {"reference": 7}, {"reference": "nul\x00"}, {}])
def test_a_payment_somebody_else_made_has_no_reference(
    metadata: Any, gateway: MollieGateway, mollie_fake: MollieFake
) -> None:
    session = gateway.create_session(wished())
    mollie_fake.payments[session.session_id]["metadata"] = metadata

    assert gateway.fetch_session(session.session_id).reference == ""


def test_real_money_is_called_live(provider: Mollie, mollie_fake: MollieFake) -> None:
    mollie_fake.mode = "live"

    session = provider.gateway.create_session(wished())
    provider.pay(session)

    assert session.live
    assert provider.gateway.create_refund(refund_of(session, 1)).live


# --- keys are forgotten ---


def test_when_the_key_may_be_forgotten_the_payment_is_found_by_its_reference(
    gateway: MollieGateway, mollie_fake: MollieFake, settings: Settings
) -> None:
    settings.PAYMENT_WINDOW_SECONDS = 24 * 3_600
    request = wished(expires_at=utc_now() + timedelta(hours=22))
    first = gateway.create_session(request)
    mollie_fake.keys.clear()

    assert gateway.create_session(request) == first
    assert len(mollie_fake.payments) == 1


def test_a_first_attempt_late_in_a_long_window_is_made(gateway: MollieGateway, settings: Settings) -> None:
    settings.PAYMENT_WINDOW_SECONDS = 24 * 3_600

    assert gateway.create_session(wished(expires_at=utc_now() + timedelta(hours=2))).state is SessionState.OPEN


def test_just_after_the_window_a_payment_that_is_not_there_may_still_come(gateway: MollieGateway) -> None:
    with pytest.raises(GatewayUnavailable, match="yet"):
        gateway.create_session(wished(expires_at=utc_now() - timedelta(minutes=5)))


def test_a_refund_asked_for_again_after_the_key_was_forgotten_is_not_made_twice(
    gateway: MollieGateway, mollie_fake: MollieFake, paid: GatewaySession
) -> None:
    request = refund_of(paid, 700)
    first = gateway.create_refund(request)
    mollie_fake.keys.clear()

    assert gateway.create_refund(request) == first
    assert len(mollie_fake.refunds) == 1


# --- refunds ---


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("queued", RefundState.PENDING),
        ("pending", RefundState.PENDING),
        ("processing", RefundState.PENDING),
        ("refunded", RefundState.SUCCEEDED),
        ("failed", RefundState.REJECTED),
        ("canceled", RefundState.REJECTED),
    ],
)
def test_refunds_have_mollies_states(
    status: str, state: RefundState, gateway: MollieGateway, mollie_fake: MollieFake, paid: GatewaySession
) -> None:
    mollie_fake.next_refund = status

    refund = gateway.create_refund(refund_of(paid, 1))

    assert refund.state is state
    assert refund.failure_code == (status if state is RefundState.REJECTED else "")


def test_a_refund_in_a_state_nobody_knows_is_no_word(
    gateway: MollieGateway, mollie_fake: MollieFake, paid: GatewaySession
) -> None:
    mollie_fake.next_refund = "melted"

    with pytest.raises(GatewayUnavailable):
        gateway.create_refund(refund_of(paid, 1))


# --- trouble ---


@pytest.mark.parametrize(
    ("told", "error", "words"),
    [
        (Told(422, {"title": "Unprocessable Entity", "field": "amount.value"}), GatewayRefused, "amount_value"),
        (Told(404, {"title": "Not Found"}), GatewayRefused, "not_found"),
        (Told(409, {"title": "Conflict", "detail": "A duplicate refund"}), GatewayUnavailable, "status 409"),
        (Told(401, {"title": "Unauthorized Request"}), GatewayUnavailable, "status 401"),
        (Told(302, {}, {"location": "http://127.0.0.1:1/steal"}), GatewayUnavailable, "status 302"),
        (Told(422, {}), GatewayUnavailable, "status 422"),
        (Told(422, []), GatewayUnavailable, "status 422"),
        (Told(201, []), GatewayUnavailable, "in words we do not know"),
    ],
)
def test_only_what_says_no_to_the_request_is_a_refusal(
    told: Told, error: type[Exception], words: str, gateway: MollieGateway, mollie_fake: MollieFake
) -> None:
    mollie_fake.fail(told)

    with pytest.raises(error, match=words):
        gateway.create_session(wished())


def test_the_secret_goes_to_no_address_an_answer_names(gateway: MollieGateway, mollie_fake: MollieFake) -> None:
    following = {"next": {"href": "http://127.0.0.1:1/steal?from=tr_1&limit=5"}}
    mollie_fake.fail(
        Told(200, {"_embedded": {"payments": []}, "_links": following}),
        Told(200, {"_embedded": {"payments": []}, "_links": {}}),
    )

    assert list(gateway.list_sessions(created_after=utc_now())) == []
    assert [asked.query for asked in mollie_fake.asked] == [{"limit": "250"}, {"from": "tr_1", "limit": "5"}]


# --- callbacks ---


def called(provider: Mollie, query: str, body: bytes = b"id=tr_d0b0E3EA3v") -> list[tuple[str, bool]]:
    messages = provider.gateway.parse_callback(body=body, headers={":query": query}, now=datetime.now(UTC))
    return [(message.session_id, message.concerns_refunds) for message in messages]


def test_each_call_is_a_message_of_its_own_since_the_next_change_comes_in_the_same_words(provider: Mollie) -> None:
    query = urlsplit(webhook_url(reference="R-1")).query
    now = datetime.now(UTC)

    messages = [
        provider.gateway.parse_callback(body=b"id=tr_d0b0E3EA3v", headers={":query": query}, now=now)[0]
        for _ in range(3)
    ]

    assert len({message.event_id for message in messages}) == 3
    assert {(message.session_id, message.concerns_refunds) for message in messages} == {("tr_d0b0E3EA3v", True)}


def test_the_address_of_one_payment_does_not_vouch_for_another_reference(provider: Mollie) -> None:
    token = parse_qs(urlsplit(webhook_url(reference="R-1")).query)["token"][0]
    assert called(provider, f"for=R-1&token={token}") == [("tr_d0b0E3EA3v", True)]

    for query in (f"for=R-2&token={token}", f"token={token}", "for=R-1&token=", "for=R-1", "", "a=b&" * 50):
        with pytest.raises(CallbackInvalid):
            called(provider, query)


@pytest.mark.parametrize(
    "body",
    [
        b"id=re_4qqhO89gsT",
        b"id=tr_1&id=tr_2",
        b"id=../payments",
        b"id=tr_%2e%2e%2f",
        b"other=tr_d0b0E3EA3v",
        b"id=" + b"tr_" + b"a" * 61,
        b"a=b&" * 50,
        "id=tr_schön123".encode(),
    ],
)
def test_what_names_no_payment_is_refused(body: bytes, provider: Mollie) -> None:
    with pytest.raises(CallbackInvalid):
        called(provider, urlsplit(webhook_url(reference="R-1")).query, body)
