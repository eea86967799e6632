"""A shop with goods, callers with real tokens and keys, and the sandbox gateway as a process of its own."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from checkout.services import seed_rates
from integrations.gateways.sandbox import SandboxGateway
from integrations.management.commands.seed import SCOPES
from payments.services import gateways
from shop.kernel.auth import services as auth
from tests.contract import shapes
from tests.integrations.sandbox_gateway.harness import SECRET, WEBHOOK_SECRET, Gateway
from tests.shop.catalog.factories import article, bring_in, product

ADDRESS = {"name": "Ada", "line1": "Lindenallee 7", "city": "Berlin", "postal_code": "10115", "country": "DE"}
OFFER = {"email": "ada@example.com", "shipping_address": ADDRESS, "shipping_method": "standard"}
RETURN_URL = "http://localhost:3000/thanks"


@dataclass
class Api:
    """Somebody who calls: with a token, with a key, or as nobody."""

    headers: dict[str, str]
    id: str = ""

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Make one call and return the test client's response; `Idempotency-Key` is written `idempotency_key`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        return Client(raise_request_exception=False).generic(
            method,
            path,
            content,
            content_type=named.pop("content-type", "application/json"),
            headers={**self.headers, **named},
        )

    def ok(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Make one call that must succeed, and return its body."""
        answer = self(method, path, body, **headers)
        assert 200 <= answer.status_code < 300, answer.content
        return json.loads(answer.content) if answer.content else None


def problem(answer: Any, *members: str) -> tuple[int, str]:
    """Require problem details with these members beside the standard ones; return status and code."""
    assert answer["Content-Type"] == "application/problem+json", answer.content
    document = json.loads(answer.content)
    shapes.require(document, {**shapes.PROBLEM, **dict.fromkeys(members, lambda _: True)})
    assert document["status"] == answer.status_code
    return answer.status_code, document["code"]


def fields(answer: Any) -> dict[str, str]:
    """Require a refusal of fields; return code by pointer."""
    assert problem(answer, "errors") == (400, "validation_error")
    errors = json.loads(answer.content)["errors"]
    shapes.require(errors, [shapes.FIELD_PROBLEM])
    return {error["pointer"]: error["code"] for error in errors}


@pytest.fixture(autouse=True)
def _goods(db: None) -> None:
    seed_rates()
    bring_in(
        product(article("MUG", on_hand=5, prices={"EUR": 1650}), article("BOWL", on_hand=500, prices={"EUR": 990})),
        product(article("TEA", on_hand=0, prices={"EUR": 790}), handle="tea", category="Tea", title="Tea"),
    )


@pytest.fixture
def nobody() -> Api:
    """Without token or key."""
    return Api({})


def guest(nobody: Api) -> Api:
    """Open a guest's account."""
    opened = nobody.ok("POST", "/auth/guest")
    return Api({"Authorization": f"Bearer {opened['access']}"}, id=opened["user"]["id"])


@pytest.fixture
def shopper(nobody: Api) -> Api:
    """A guest."""
    return guest(nobody)


@pytest.fixture
def stranger(nobody: Api) -> Api:
    """Another guest."""
    return guest(nobody)


@pytest.fixture
def staff(nobody: Api) -> Api:
    """Somebody who works here."""
    auth.seed_users()
    login = nobody.ok("POST", "/auth/token", {"email": "staff@example.com", "password": "staff-demo-1"})
    return Api({"Authorization": f"Bearer {login['access']}"}, id=login["user"]["id"])


@pytest.fixture
def system() -> Api:
    """Another system of the house, with a key for everything internal."""
    key = auth.issue_api_key(name="tests", scopes=SCOPES, expires_at=None, now=datetime.now(UTC))
    return Api({"X-API-Key": key})


@pytest.fixture
def narrow() -> Api:
    """Another system, which may only read payments."""
    now = datetime.now(UTC)
    return Api({"X-API-Key": auth.issue_api_key(name="n", scopes=["payments:read"], expires_at=None, now=now)})


@pytest.fixture
def order(shopper: Api) -> Any:
    """The shopper's, waiting for its money."""
    shopper.ok("POST", "/cart/me/items", {"sku": "MUG", "quantity": 2})
    checkout = shopper.ok("POST", "/checkout", OFFER)
    return shopper.ok("POST", "/orders", {"checkout_id": checkout["id"]})


@pytest.fixture(scope="session")
def _process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    # Its callbacks are refused at a port where nobody listens: what they would say is signed here instead.
    process = Gateway(folder=tmp_path_factory.mktemp("gateway"), callback_url="http://127.0.0.1:9/")
    process.start()
    yield process
    process.stop()


@pytest.fixture
def gateway(_process: Gateway, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:
    """The sandbox gateway's process, without faults, known to the shop."""
    settings.SANDBOX_GATEWAY_URL = _process.url
    settings.SANDBOX_GATEWAY_SECRET = SECRET
    settings.SANDBOX_WEBHOOK_SECRETS = [WEBHOOK_SECRET]
    # Longer than a busy machine keeps the process from answering.
    settings.GATEWAY_READ_TIMEOUT_SECONDS = settings.PAYMENT_LOOK_TIMEOUT_SECONDS = 60.0
    adapter = SandboxGateway()
    monkeypatch.setattr(gateways, "_gateway_at", lambda _path: adapter)
    _process.faults()
    yield _process
    _process.faults()
