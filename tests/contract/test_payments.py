"""`/payments`, `/payment-callback` and what the house's own systems may read."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from standardwebhooks import Webhook

from payments.models import Callback
from shop.kernel.auth import services as auth
from tests.contract import shapes
from tests.contract.conftest import RETURN_URL, Api, fields, problem
from tests.integrations.sandbox_gateway.harness import DECLINED, WEBHOOK_SECRET, Gateway

Shown = dict[str, Any]


def started(shopper: Api, order: Shown) -> Shown:
    payment: Shown = shopper.ok("POST", "/payments", {"order_id": order["id"], "return_url": RETURN_URL})
    return payment


def session_of(payment: Shown) -> str:
    return str(payment["redirect_url"]).rpartition("/")[2]


def callback(*, session_id: str = "sess_1", secret: str = WEBHOOK_SECRET, at: datetime | None = None) -> dict[str, Any]:
    """Return the arguments of a call that reports a session, signed by `secret` at an instant."""
    signed_at = at or datetime.now(UTC)
    event = {"type": "session.paid", "created_at": signed_at.isoformat(), "data": {"id": session_id}}
    body = json.dumps(event)
    return {
        "body": body.encode(),
        "webhook-id": f"evt_{session_id}",
        "webhook-timestamp": str(int(signed_at.timestamp())),
        "webhook-signature": Webhook(secret).sign(f"evt_{session_id}", signed_at, body),
    }


def test_a_payment_is_started_once(shopper: Api, order: Shown, gateway: Gateway) -> None:
    body = {"order_id": order["id"], "return_url": RETURN_URL}

    first, again = shopper("POST", "/payments", body), shopper("POST", "/payments", body)

    assert (first.status_code, again.status_code) == (201, 200)
    shapes.require(first.json(), {**shapes.PAYMENT, "status": "pending", "failure": None})
    assert first.json() == again.json() == shopper.ok("GET", f"/payments/{first.json()['id']}")
    assert first.json()["amount"] == order["totals"]["total"]
    assert first.json()["refunded"] == {"amount": 0, "currency": "EUR"}
    listed = shopper.ok("GET", f"/payments?order_id={order['id']}")
    shapes.require(listed, shapes.page_of(shapes.PAYMENT))
    session = gateway.fetch(session_of(first.json()))
    assert session["reference"].startswith(order["number"])


def test_a_failed_payment_says_why(shopper: Api, order: Shown, gateway: Gateway) -> None:
    payment = started(shopper, order)
    gateway.pay(session_of(payment), DECLINED)

    seen = shopper.ok("GET", f"/payments/{payment['id']}")

    shapes.require(seen, {**shapes.PAYMENT, "status": "failed"})
    assert seen["failure"]["code"] == "card_declined"


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example/",
        "//evil.example/",
        "https://localhost:3000@evil.example/",
        "http://localhost:3000.evil.example/",
        "\\\\evil.example/",
        "http://localhost:3000\\@evil.example/",
        "http://localhost:3000/\r\nLocation: x",
        "javascript:alert(1)",
        "thanks",
    ],
)
def test_a_browser_is_sent_to_the_shops_own_pages_only(shopper: Api, order: Shown, address: str) -> None:
    refused = shopper("POST", "/payments", {"order_id": order["id"], "return_url": address})

    assert refused.status_code == 400
    assert problem(refused, "errors")[1] in {"return_url_not_allowed", "validation_error"}
    assert shopper.ok("GET", f"/payments?order_id={order['id']}")["results"] == []


def test_what_a_payment_refuses(shopper: Api, stranger: Api, order: Shown, gateway: Gateway) -> None:
    body = {"order_id": order["id"], "return_url": RETURN_URL}
    payment = started(shopper, order)

    for member in ("status", "amount", "currency"):
        assert fields(shopper("POST", "/payments", {**body, member: 1})) == {f"/{member}": "unknown_field"}
    assert problem(shopper("POST", "/payments", {**body, "gateway": "other"}), "errors") == (400, "unknown_gateway")
    assert problem(stranger("POST", "/payments", body), "order_id") == (404, "not_found")
    assert problem(stranger("GET", f"/payments/{payment['id']}"), "payment_id") == (404, "not_found")
    assert problem(stranger("GET", f"/payments?order_id={order['id']}"), "order_id") == (404, "not_found")
    assert problem(stranger("POST", f"/payments/{payment['id']}/cancel", {}), "payment_id") == (404, "not_found")
    assert fields(shopper("GET", "/payments")) == {"/order_id": "required"}


def test_a_payment_is_called_off_and_a_paid_one_is_not(shopper: Api, order: Shown, gateway: Gateway) -> None:
    first = started(shopper, order)
    assert shopper.ok("POST", f"/payments/{first['id']}/cancel", {})["status"] == "cancelled"
    assert gateway.fetch(session_of(first))["status"] == "closed"
    second = started(shopper, order)
    gateway.pay(session_of(second))

    refused = shopper("POST", f"/payments/{second['id']}/cancel", {})

    assert problem(refused, "current", "wanted") == (409, "illegal_transition")
    assert shopper.ok("GET", f"/payments/{second['id']}")["status"] == "succeeded"
    late = shopper("POST", "/payments", {"order_id": order["id"], "return_url": RETURN_URL})
    assert problem(late, "order_id", "order_status") == (409, "order_not_payable")


def test_a_silent_gateway_is_a_503_and_the_same_call_goes_on(shopper: Api, order: Shown, gateway: Gateway) -> None:
    gateway.faults(fail_requests=3)

    refused = shopper("POST", "/payments", {"order_id": order["id"], "return_url": RETURN_URL})
    waiting = shopper.ok("GET", f"/payments?order_id={order['id']}")["results"]
    again = shopper("POST", "/payments", {"order_id": order["id"], "return_url": RETURN_URL})

    assert problem(refused, "payment_id") == (503, "gateway_unavailable")
    assert int(refused["Retry-After"]) > 0
    assert [(one["id"], one["status"], one["redirect_url"]) for one in waiting] == [
        (refused.json()["payment_id"], "unknown", None)
    ]
    assert (again.status_code, again.json()["id"]) == (200, refused.json()["payment_id"])


@pytest.mark.parametrize("path", ["/payment-callback", "/payment-callback/sandbox"])
def test_a_callback_is_received_new_and_repeated(nobody: Api, gateway: Gateway, path: str) -> None:
    said = callback(session_id="sess_unknown_to_us")

    first, again = (nobody("POST", path, **said) for _ in range(2))

    assert [(answer.status_code, answer.json()) for answer in (first, again)] == [(200, {"received": True})] * 2


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "text/plain;q=0.5, image/png", "nonsense"])
def test_a_callback_is_received_whatever_answer_the_gateway_would_read(
    nobody: Api, gateway: Gateway, accept: str
) -> None:
    answer = nobody("POST", "/payment-callback", accept=accept, **callback())

    assert (answer.status_code, answer.json()) == (200, {"received": True})
    assert Callback.objects.count() == 1


def test_what_is_no_callback_of_the_gateways(nobody: Api, gateway: Gateway) -> None:
    good = callback()
    now = datetime.now(UTC)
    forged = [
        {},
        {"body": good["body"]},
        {**good, "webhook-signature": "v1,nonsense"},
        {**good, "webhook-signature": "v1,ümläut"},
        {**good, "webhook-timestamp": "soon"},
        {**good, "body": good["body"].replace(b": ", b":")},
        {**good, "body": b"\xff\xfe"},
        callback(secret="whsec_c29tZWJvZHktZWxzZXMtc2VjcmV0LTAwMDE="),
        callback(at=now - timedelta(seconds=310)),
        callback(at=now + timedelta(seconds=400)),
    ]

    answers = [nobody("POST", "/payment-callback", **said) for said in forged]

    assert [problem(answer) for answer in answers] == [(400, "invalid_callback")] * len(forged)
    assert {answer.content for answer in answers} == {answers[0].content}
    large = nobody("POST", "/payment-callback", **{**good, "body": b" " * (256 * 1024 + 1)})
    assert problem(large) == (413, "body_too_large")
    assert problem(nobody("POST", "/payment-callback/other", **good)) == (404, "not_found")


def test_internal_reads(system: Api, shopper: Api, order: Shown, gateway: Gateway) -> None:
    payment = started(shopper, order)

    seen = system.ok("GET", f"/internal/orders/{order['id']}")

    shapes.require(seen, {**shapes.INTERNAL_ORDER, "user_id": shopper.id, "tracking": ""})
    assert system.ok("GET", f"/internal/payments/{payment['id']}") == payment
    for kind in ("orders", "payments"):
        missing = system("GET", f"/internal/{kind}/{order['id'][::-1]}")
        assert missing.status_code == 404


def test_a_key_opens_what_its_scopes_say(narrow: Api, order: Shown) -> None:
    refused = narrow("GET", f"/internal/orders/{order['id']}")

    assert problem(refused, "scope") == (403, "insufficient_scope")


def test_internal_doors_open_to_keys_only(nobody: Api, shopper: Api, staff: Api, system: Api, order: Shown) -> None:
    path = f"/internal/orders/{order['id']}"
    now = datetime.now(UTC)
    ended = now - timedelta(seconds=1)
    expired = Api({"X-API-Key": auth.issue_api_key(name="e", scopes=["orders:read"], expires_at=ended, now=now)})

    for caller in (nobody, shopper, staff):
        refused = caller("GET", path)
        assert problem(refused) == (401, "not_authenticated")
        assert refused["WWW-Authenticate"]
    for caller in (expired, Api({"X-API-Key": "shop_nonsense"})):
        assert problem(caller("GET", path)) == (401, "api_key_not_valid")
    assert problem(system("GET", f"/orders/{order['id']}")) == (401, "not_authenticated")
