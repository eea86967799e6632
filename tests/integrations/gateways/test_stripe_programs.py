"""The adapter against programs that others wrote to stand for Stripe, as far as each of them goes.

stripe-mock is Stripe's own: it remembers nothing, but holds each request against Stripe's OpenAPI document.
localstripe remembers payments and refunds and signs events, but has no sessions, idempotency or refund limits. It is
under the GPL: a process with an environment of its own, imported by nothing here. `make providers` installs both.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import urllib3
from pytest_django import Settings

from integrations.embedded.ports import any_free
from integrations.gateways import stripe as adapter
from integrations.gateways.stripe import StripeGateway
from integrations.gateways.stripe_words import session_word
from payments.dto import GatewaySession, RefundRequest, RefundState, SessionState
from payments.ports import CallbackInvalid, GatewayRefused, GatewayUnavailable
from shop.kernel.clock import utc_now
from shop.kernel.ids import new_id
from shop.kernel.money import Money
from tests.integrations.gateways.factories import wished
from tests.integrations.gateways.fakes.server import Asked, Server, Told
from tests.integrations.gateways.providers import OURS
from tests.integrations.sandbox_gateway.harness import eventually

pytestmark = pytest.mark.providers

BESIDE_PYTHON = Path(sys.executable).parent
LOCALSTRIPE_PYTHON = BESIDE_PYTHON.parent / "localstripe" / "bin" / "python"
# Its own command listens on every address the machine has.
LOCALSTRIPE = """
import sys
from aiohttp import web
from localstripe.server import app
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]))
"""
# stripe-mock lets in whatever looks like a key.
KEY = "sk_test_123"


def running(command: list[str], *, port: int, folder: Path) -> Iterator[str]:
    url = f"http://127.0.0.1:{port}"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        eventually(lambda: answers(url))
        yield url
    finally:
        process.terminate()
        process.wait(30)


def answers(url: str) -> bool:
    try:
        return urllib3.request("GET", f"{url}/v1/refunds", retries=False, timeout=1.0).status > 0
    except urllib3.exceptions.HTTPError:
        return False


# --- stripe-mock ---


@pytest.fixture(scope="session")
def stripe_mock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    program = shutil.which("stripe-mock", path=str(BESIDE_PYTHON)) or shutil.which("stripe-mock")
    if program is None:
        pytest.skip("stripe-mock is not installed: make providers")
    port = any_free()
    command = [program, "-http-addr", f"127.0.0.1:{port}"]
    yield from running(command, port=port, folder=tmp_path_factory.mktemp("stripe-mock"))


@pytest.fixture
def mocked(stripe_mock: str, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> StripeGateway:
    """The adapter on stripe-mock, whose sessions lack what every paid-for session has: an amount."""

    def with_an_amount(said: dict[str, Any]) -> GatewaySession:
        return session_word(said | {"amount_total": 1_099, "currency": "usd"})

    monkeypatch.setattr(adapter, "session_word", with_an_amount)
    settings.STRIPE_API_URL = stripe_mock
    settings.STRIPE_SECRET_KEY = KEY
    return StripeGateway()


def test_stripes_document_allows_the_session_we_ask_for(mocked: StripeGateway) -> None:
    session = mocked.create_session(wished())

    assert (session.state, session.amount) == (SessionState.OPEN, Money(1_099, "USD"))


def test_stripes_document_would_refuse_a_field_it_does_not_know(
    mocked: StripeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked_for = adapter._wanted
    monkeypatch.setattr(adapter, "_wanted", lambda request: asked_for(request) | {"nonsense": "1"})

    with pytest.raises(GatewayRefused):
        mocked.create_session(wished())


def test_stripes_document_has_everything_else_we_call(mocked: StripeGateway) -> None:
    assert mocked.fetch_session("cs_test_1").payment_id.startswith("pi_")
    assert mocked.fetch_session("pi_1").session_id.startswith("cs_")
    assert mocked.close_session("cs_test_1").state is SessionState.CLOSED
    assert len(list(mocked.list_sessions(created_after=utc_now()))) == 1
    refund = mocked.create_refund(RefundRequest("refund-1", "r", "cs_test_1", "pi_1", Money(100, "USD")))
    assert (refund.state, refund.amount) == (RefundState.SUCCEEDED, Money(100, "USD"))
    assert mocked.fetch_refund(refund_id="re_1", session_id="cs_test_1").refund_id == "re_1"
    assert len(list(mocked.list_refunds(session_id="cs_test_1", payment_id="pi_1"))) == 1
    assert len(list(mocked.list_refunds_since(created_after=utc_now()))) == 1


def test_stripes_document_has_the_fee_where_we_look_for_it(mocked: StripeGateway) -> None:
    expanded: Any = {"expand": ["payment_intent.latest_charge.balance_transaction"]}

    session = mocked._client.v1.checkout.sessions.retrieve("cs_test_1", expanded).to_dict()

    assert isinstance(session["payment_intent"]["latest_charge"]["balance_transaction"]["fee"], int)


def test_a_key_that_is_none_says_nothing_about_the_payment(stripe_mock: str, settings: Settings) -> None:
    settings.STRIPE_API_URL = stripe_mock
    settings.STRIPE_SECRET_KEY = "nobody"

    with pytest.raises(GatewayUnavailable):
        StripeGateway().fetch_session("cs_test_1")


# --- localstripe ---


class Listener(Server):
    """Keeps every call as it came in."""

    def __init__(self) -> None:
        super().__init__(authorization="")

    def _let_in(self, _asked: Asked) -> Told:
        return Told(200, {})


@pytest.fixture(scope="session")
def localstripe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if not LOCALSTRIPE_PYTHON.exists():
        pytest.skip("localstripe is not installed: make providers")
    port = any_free()
    command = [str(LOCALSTRIPE_PYTHON), "-c", LOCALSTRIPE, str(port)]
    yield from running(command, port=port, folder=tmp_path_factory.mktemp("localstripe"))


@pytest.fixture
def local(localstripe: str, settings: Settings) -> StripeGateway:
    """The adapter on localstripe."""
    settings.STRIPE_API_URL = localstripe
    settings.STRIPE_SECRET_KEY = KEY
    settings.STRIPE_WEBHOOK_SECRETS = [OURS]
    return StripeGateway()


def payment(local: StripeGateway, *, card: str = "4242424242424242") -> str:
    """Let a card pay 10 euros, and return the money's id."""
    far: Any = {"number": card, "exp_month": 12, "exp_year": utc_now().year + 5, "cvc": "123"}
    method = local._client.v1.payment_methods.create({"type": "card", "card": far})
    wanted: Any = {"amount": 1_000, "currency": "eur", "payment_method": method.id, "confirm": True}
    return str(local._client.v1.payment_intents.create(wanted).id)


def refund_of(money: str, amount: int = 400) -> RefundRequest:
    return RefundRequest(f"refund-{new_id()}", str(new_id()), "cs_1", money, Money(amount, "EUR"))


def test_a_refund_is_made_and_found(local: StripeGateway) -> None:
    money = payment(local)
    request = refund_of(money)

    refund = local.create_refund(request)

    assert (refund.state, refund.amount, refund.reference) == (
        RefundState.SUCCEEDED,
        Money(400, "EUR"),
        request.reference,
    )
    assert (refund.session_id, refund.payment_id) == ("cs_1", money)
    assert local.fetch_refund(refund_id=refund.refund_id, session_id="cs_1") == refund
    assert list(local.list_refunds(session_id="cs_1", payment_id=money)) == [refund]


def test_a_provider_that_keeps_no_keys_still_refunds_once(local: StripeGateway) -> None:
    request = refund_of(payment(local))

    assert local.create_refund(request) == local.create_refund(request)


def test_refunds_are_listed_over_pages(local: StripeGateway) -> None:
    money = payment(local)
    made = {local.create_refund(refund_of(money, 1)).refund_id for _ in range(12)}

    found = {refund.refund_id for refund in local.list_refunds(session_id="cs_1", payment_id=money)}

    assert found == made


@pytest.mark.parametrize("money", ["pi_unheard_of", "nobody"])
def test_money_nobody_knows_does_not_go_back(money: str, local: StripeGateway) -> None:
    with pytest.raises(GatewayRefused):
        local.create_refund(refund_of(money))


def test_a_card_that_is_declined_is_a_refusal_with_its_code(local: StripeGateway) -> None:
    with pytest.raises(GatewayRefused) as refused, adapter._asking():
        payment(local, card="4000000000000341")

    assert refused.value.code == "card_declined"


def test_its_signed_events_are_believed_as_they_came_and_in_no_other_words(
    local: StripeGateway, localstripe: str
) -> None:
    listener = Listener()
    config = urllib3.request(
        "POST", f"{localstripe}/_config/webhooks/shop", json={"url": f"{listener.url}/", "secret": OURS}
    )
    assert config.status == 200
    money = payment(local)

    asked = eventually(lambda: [asked for asked in listener.asked if money.encode() in asked.body])[0]
    listener.close()
    now = datetime.now(UTC)
    (message,) = local.parse_callback(body=asked.body, headers=asked.headers, now=now)

    assert (message.type, message.session_id) == ("payment_intent.succeeded", money)
    for body, at in ((asked.body.replace(b"  ", b" "), now), (asked.body, now + timedelta(seconds=400))):
        with pytest.raises(CallbackInvalid):
            local.parse_callback(body=body, headers=asked.headers, now=at)
