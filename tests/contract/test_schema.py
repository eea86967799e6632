"""The OpenAPI document: it lists what the contract lists, and the shop answers as it says, whatever is sent."""

import json
from typing import Any

import pytest
import schemathesis
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from hypothesis import HealthCheck, Phase, given, strategies
from hypothesis import settings as examples
from pytest_django import Settings
from schemathesis.specs.openapi.schemas import OpenApiSchema

from tests.contract.conftest import OFFER, RETURN_URL, Api
from tests.integrations.sandbox_gateway.harness import Gateway

# The contract's calls, but those of later issues: coupons, merging.
CALLS = """
POST /auth/register
POST /auth/guest
POST /auth/token
POST /auth/token/refresh
POST /auth/logout
GET /auth/me
GET /products
GET /products/{sku}
GET /cart/{user_id}
DELETE /cart/{user_id}
POST /cart/{user_id}/items
PATCH /cart/{user_id}/items/{sku}
DELETE /cart/{user_id}/items/{sku}
GET /checkout/shipping-methods
POST /checkout
GET /checkout/{checkout_id}
DELETE /checkout/{checkout_id}
POST /orders
GET /orders
GET /orders/{order_id}
POST /orders/{order_id}/cancel
POST /payments
GET /payments
GET /payments/{payment_id}
POST /payments/{payment_id}/cancel
GET /payments/{payment_id}/refunds
POST /payments/{payment_id}/refunds
POST /payment-callback
POST /payment-callback/{gateway}
GET /internal/orders/{order_id}
POST /internal/orders/{order_id}/fulfil
GET /internal/payments/{payment_id}
POST /internal/payments/{payment_id}/refunds
PUT /internal/stock/{sku}
GET /internal/webhook-endpoints
POST /internal/webhook-endpoints
DELETE /internal/webhook-endpoints/{endpoint_id}
GET /internal/webhook-endpoints/{endpoint_id}/deliveries
POST /internal/webhook-endpoints/{endpoint_id}/ping
POST /internal/webhook-endpoints/{endpoint_id}/rotate-secret
POST /internal/deliveries/{delivery_id}/redeliver
GET /healthz
GET /readyz
GET /metrics
GET /.well-known/jwks.json
"""
schemathesis.checks.load_all_checks()
CHECKS: Any = schemathesis.checks.CHECKS.get_by_names(
    [
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
    ]
)
EXAMPLES = 16
# Nothing can be sent that would be wrong.
UNSPOILT = {
    "POST /auth/guest",
    "GET /auth/me",
    "GET /healthz",
    "GET /readyz",
    "GET /metrics",
    "GET /.well-known/jwks.json",
}


@pytest.fixture
def document(nobody: Api) -> dict[str, Any]:
    shown: dict[str, Any] = json.loads(nobody("GET", "/schema", accept="application/json").content)
    return shown


def test_the_document_lists_what_the_contract_lists(document: dict[str, Any]) -> None:
    listed = {f"{method.upper()} {path}" for path, calls in document["paths"].items() for method in calls}

    assert document["openapi"].startswith("3.1")
    assert listed == set(CALLS.split("\n")) - {""}


def test_every_call_names_its_door_and_its_problems(document: dict[str, Any]) -> None:
    for path, calls in document["paths"].items():
        for call in calls.values():
            assert "application/problem+json" in call["responses"]["default"]["content"]
            doors = {door for choice in call.get("security", []) for door in choice}
            if path.startswith("/internal/"):
                assert doors == {"api_key"}
            elif path.startswith(("/cart", "/checkout", "/orders", "/payments", "/products")):
                assert doors <= {"access_token", "checked_access_token"}
                assert doors


def test_what_a_deletion_answers_is_what_the_document_says(document: dict[str, Any]) -> None:
    answers = {
        path: set(calls["delete"]["responses"]) for path, calls in document["paths"].items() if "delete" in calls
    }

    assert answers == {
        "/cart/{user_id}": {"200", "default"},
        "/cart/{user_id}/items/{sku}": {"200", "default"},
        "/checkout/{checkout_id}": {"204", "default"},
        "/internal/webhook-endpoints/{endpoint_id}": {"204", "default"},
    }


def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Answer as the web process does, on the test's own connection, which outlives the request."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    try:
        answer = WSGIHandler()(environ, start_response)
        body = list(answer)
        answer.close()
        return body
    finally:
        for signal in signals:
            signal.connect(close_old_connections)


@pytest.fixture(scope="module")
def described() -> OpenApiSchema:
    """The document, as a stranger reads it."""
    return schemathesis.openapi.from_wsgi("/schema", application)


@pytest.fixture
def real(shopper: Api, system: Api, order: dict[str, Any], gateway: Gateway) -> dict[str, str]:
    """Ids of things that are there."""
    payment = shopper.ok("POST", "/payments", {"order_id": order["id"], "return_url": RETURN_URL})
    shopper.ok("POST", "/cart/me/items", {"sku": "BOWL", "quantity": 1})
    checkout = shopper.ok("POST", "/checkout", OFFER)
    endpoint = system.ok("POST", "/internal/webhook-endpoints", {"url": "http://127.0.0.1:9/hooks"})
    ping = system.ok("POST", f"/internal/webhook-endpoints/{endpoint['id']}/ping")
    return {
        "user_id": "me",
        "sku": "BOWL",
        "order_id": order["id"],
        "payment_id": payment["id"],
        "checkout_id": checkout["id"],
        "gateway": "sandbox",
        "endpoint_id": endpoint["id"],
        "delivery_id": ping["id"],
    }


@pytest.fixture
def _everything_is_there(settings: Settings) -> None:
    # Servers are given little time to answer `/readyz`, which a busy machine may need: `test_probes` waits for them.
    settings.READINESS = dict.fromkeys(settings.READINESS, "tests.contract.test_schema.there")


def there() -> None:
    """Give no reason why it should not be."""


@pytest.mark.usefixtures("_everything_is_there")
@pytest.mark.parametrize("call", [call for call in CALLS.split("\n") if call])
def test_whatever_is_sent_the_answer_is_as_described(
    call: str, described: OpenApiSchema, shopper: Api, system: Api, real: dict[str, str]
) -> None:
    method, path = call.split()
    wrong = described[path][method].as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE)
    right = described[path][method].as_strategy()

    @given(case=right if call in UNSPOILT else right | wrong, there=strategies.booleans())
    @examples(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def answers(case: schemathesis.Case[Any], *, there: bool) -> None:
        # Half of the cases are about things that are there; the others find nothing.
        if there:
            case.path_parameters = {name: real.get(name, value) for name, value in case.path_parameters.items()}
        case.call_and_validate(headers={**shopper.headers, **system.headers}, checks=CHECKS)

    answers()
