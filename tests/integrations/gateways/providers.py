"""Every provider as the contract needs it: the adapter, and a hand on what only the provider's own side can do."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import urlencode, urlsplit

from django.conf import settings

from integrations.gateways.mollie import MollieGateway, webhook_url
from integrations.gateways.sandbox import SandboxGateway
from integrations.gateways.stripe import StripeGateway
from payments.dto import GatewaySession
from payments.ports import Gateway
from shop.kernel.money import Money
from tests.integrations.gateways.fakes.mollie import MollieFake
from tests.integrations.gateways.fakes.server import Told
from tests.integrations.gateways.fakes.stripe import StripeFake
from tests.integrations.sandbox_gateway.harness import DECLINED, PROCESSING
from tests.integrations.sandbox_gateway.harness import Gateway as SandboxProcess

# Long enough for a busy machine; and short enough to wait for, in tests of an answer that comes too late. It is so late
# that a caller who was stopped for a while does not find it there, and in time for who is patient.
PATIENCE_SECONDS = 60.0
IMPATIENT_SECONDS = 2.0
LATE_SECONDS = 30.0
OURS, OLD, THEIRS = (
    "whsec_" + base64.b64encode(text.encode()).decode()
    for text in ("the-secret-of-today-0000000000001", "the-secret-of-yesterday-000000002", "somebody-elses-secret-0003")
)
# A callback as it comes in: the raw body, and the headers with lower-case names.
Callback = tuple[bytes, dict[str, str]]


class Provider(Protocol):
    """What the contract asks of each provider."""

    name: str
    gateway: Gateway
    # Whether callbacks are signed together with their body and their time.
    signs: bool

    def pay(self, session: GatewaySession) -> None: ...
    def begin_paying(self, session: GatewaySession) -> None: ...
    def finish_paying(self, session: GatewaySession) -> None: ...
    def fail_paying(self, session: GatewaySession) -> None: ...
    def refund_in_dashboard(self, session: GatewaySession, amount: Money) -> None: ...
    def reject_next_refund(self) -> None: ...
    def fail_calls(self, times: int) -> None: ...
    def answer_late_once(self) -> None: ...
    def let_nobody_in(self) -> Gateway: ...
    def body(self, session: GatewaySession, *, about_refund: bool = False) -> bytes: ...
    def headers(self, body: bytes, *, at: datetime, secret: str = OURS) -> dict[str, str]: ...
    def believe(self, *secrets: str) -> None: ...


class Sandbox:
    """The sandbox's real process."""

    name = "sandbox"
    signs = True

    def __init__(self, process: SandboxProcess) -> None:
        self.gateway: Gateway = SandboxGateway()
        self._process = process

    def pay(self, session: GatewaySession) -> None:
        assert self._process.pay(session.session_id).status == 303

    def begin_paying(self, session: GatewaySession) -> None:
        self._process.pay(session.session_id, PROCESSING)

    def finish_paying(self, session: GatewaySession) -> None:
        """Nothing: the process does it by itself after a moment."""

    def fail_paying(self, session: GatewaySession) -> None:
        self._process.pay(session.session_id, DECLINED)

    def refund_in_dashboard(self, session: GatewaySession, amount: Money) -> None:
        self._process.call("POST", "/v1/refunds", {"session_id": session.session_id, "amount": amount.amount})

    def reject_next_refund(self) -> None:
        self._process.faults(reject_refunds=1)

    def fail_calls(self, times: int) -> None:
        self._process.faults(fail_requests=times)

    def answer_late_once(self) -> None:
        self._process.faults(timeout_after_doing=1, slow_seconds={"seconds": LATE_SECONDS, "count": 1})

    def let_nobody_in(self) -> Gateway:
        settings.SANDBOX_GATEWAY_SECRET = "wrong"
        return SandboxGateway()

    def body(self, session: GatewaySession, *, about_refund: bool = False) -> bytes:
        data = {"id": "re_1", "session_id": session.session_id} if about_refund else {"id": session.session_id}
        kind = "refund.succeeded" if about_refund else "session.paid"
        event = {"id": "evt_1", "type": kind, "created_at": "2026-11-22T12:00:00.000000Z", "data": data}
        return json.dumps(event).encode()

    def headers(self, body: bytes, *, at: datetime, secret: str = OURS) -> dict[str, str]:
        stamp = str(int(at.timestamp()))
        key = base64.b64decode(secret.removeprefix("whsec_"))
        digest = hmac.new(key, f"evt_1.{stamp}.".encode() + body, hashlib.sha256).digest()
        signature = f"v1,{base64.b64encode(digest).decode()}"
        return {"webhook-id": "evt_1", "webhook-timestamp": stamp, "webhook-signature": signature}

    def believe(self, *secrets: str) -> None:
        settings.SANDBOX_WEBHOOK_SECRETS = list(secrets)


class Stripe:
    """The stand-in for Stripe, called through Stripe's library."""

    name = "stripe"
    signs = True

    def __init__(self, fake: StripeFake) -> None:
        self.gateway: Gateway = StripeGateway()
        self.fake = fake

    def pay(self, session: GatewaySession) -> None:
        self.fake.pay(session.session_id)

    def begin_paying(self, session: GatewaySession) -> None:
        self.fake.pay(session.session_id, status="processing")

    def finish_paying(self, session: GatewaySession) -> None:
        self.fake.bank_pays(session.session_id)

    def fail_paying(self, session: GatewaySession) -> None:
        self.begin_paying(session)
        self.fake.bank_refuses(session.session_id)

    def refund_in_dashboard(self, session: GatewaySession, amount: Money) -> None:
        self.fake.refund(self.fake.sessions[session.session_id]["payment_intent"], amount.amount)

    def reject_next_refund(self) -> None:
        self.fake.next_refund = "failed"

    def fail_calls(self, times: int) -> None:
        self.fake.fail(*[Told(500, {"error": {"type": "api_error", "message": "Sorry."}})] * times)

    def answer_late_once(self) -> None:
        self.fake.answer_late_once(seconds=LATE_SECONDS)

    def let_nobody_in(self) -> Gateway:
        settings.STRIPE_SECRET_KEY = "sk_test_wrong"
        return StripeGateway()

    def body(self, session: GatewaySession, *, about_refund: bool = False) -> bytes:
        refund = {"id": "re_1", "object": "refund", "payment_intent": session.payment_id}
        paid = {"id": session.session_id, "object": "checkout.session"}
        kind = "refund.created" if about_refund else "checkout.session.completed"
        return json.dumps(self.fake.event(kind, refund if about_refund else paid)).encode()

    def headers(self, body: bytes, *, at: datetime, secret: str = OURS) -> dict[str, str]:
        stamp = int(at.timestamp())
        digest = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
        return {"stripe-signature": f"t={stamp},v1={digest}"}

    def believe(self, *secrets: str) -> None:
        settings.STRIPE_WEBHOOK_SECRETS = list(secrets)


class Mollie:
    """The stand-in for Mollie."""

    name = "mollie"
    signs = False

    def __init__(self, fake: MollieFake) -> None:
        self.gateway: Gateway = MollieGateway()
        self.fake = fake

    def pay(self, session: GatewaySession) -> None:
        self.fake.move(session.session_id, "paid")

    def begin_paying(self, session: GatewaySession) -> None:
        self.fake.move(session.session_id, "pending")

    def finish_paying(self, session: GatewaySession) -> None:
        self.pay(session)

    def fail_paying(self, session: GatewaySession) -> None:
        self.fake.move(session.session_id, "failed", reason="insufficient_funds")

    def refund_in_dashboard(self, session: GatewaySession, amount: Money) -> None:
        self.fake.refund(session.session_id, f"{amount.major():f}")

    def reject_next_refund(self) -> None:
        self.fake.next_refund = "failed"

    def fail_calls(self, times: int) -> None:
        self.fake.fail(*[Told(500, {"status": 500, "title": "Internal Server Error"})] * times)

    def answer_late_once(self) -> None:
        self.fake.answer_late_once(seconds=LATE_SECONDS)

    def let_nobody_in(self) -> Gateway:
        settings.MOLLIE_API_KEY = "test_wrong"
        return MollieGateway()

    def body(self, session: GatewaySession, *, about_refund: bool = False) -> bytes:
        return urlencode({"id": session.session_id}).encode()

    def headers(self, body: bytes, *, at: datetime, secret: str = OURS) -> dict[str, str]:
        believed, settings.MOLLIE_WEBHOOK_SECRETS = settings.MOLLIE_WEBHOOK_SECRETS, [secret]
        query = urlsplit(webhook_url(reference="R7KD-2MNP-XW-3f9a1c22")).query
        settings.MOLLIE_WEBHOOK_SECRETS = believed
        return {":query": query, "content-type": "application/x-www-form-urlencoded"}

    def believe(self, *secrets: str) -> None:
        settings.MOLLIE_WEBHOOK_SECRETS = list(secrets)


@contextmanager
def impatient() -> Iterator[None]:
    """Let the calls of a block take no longer than a test wants to wait."""
    patience, settings.GATEWAY_READ_TIMEOUT_SECONDS = settings.GATEWAY_READ_TIMEOUT_SECONDS, IMPATIENT_SECONDS
    try:
        yield
    finally:
        settings.GATEWAY_READ_TIMEOUT_SECONDS = patience


def spoiled(headers: dict[str, str], *, by: Any) -> list[dict[str, str]]:
    """Return the headers once for each of them, that one spoiled."""
    return [headers | {name: by(value)} for name, value in headers.items() if name != "content-type"]
