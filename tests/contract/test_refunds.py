"""`/payments/{id}/refunds`, for the staff and for the house's own systems."""

import json
from typing import Any

import pytest

from payments.models import Refund
from tests.contract import shapes
from tests.contract.conftest import RETURN_URL, Api, fields, problem
from tests.integrations.sandbox_gateway.harness import Gateway

Shown = dict[str, Any]


def euros(amount: int) -> Shown:
    return {"amount": amount * 100, "currency": "EUR"}


@pytest.fixture
def paid(shopper: Api, order: Shown, gateway: Gateway) -> Shown:
    """The shopper's payment of 37.90 EUR, which the gateway has."""
    payment = shopper.ok("POST", "/payments", {"order_id": order["id"], "return_url": RETURN_URL})
    gateway.pay(payment["redirect_url"].rpartition("/")[2])
    seen: Shown = shopper.ok("GET", f"/payments/{payment['id']}")
    assert (seen["status"], seen["amount"]["amount"]) == ("succeeded", 3_790)
    return seen


@pytest.fixture
def path(paid: Shown) -> str:
    return f"/payments/{paid['id']}/refunds"


def test_staff_give_back_a_part_then_the_rest(staff: Api, shopper: Api, paid: Shown, path: str) -> None:
    part = staff("POST", path, {"amount": euros(10), "reason": "A dent."})
    rest = staff("POST", path, {"reason": "Another one."})

    assert (part.status_code, rest.status_code) == (201, 201)
    shapes.require(part.json(), {**shapes.REFUND, "payment_id": paid["id"], "amount": euros(10), "reason": "A dent."})
    shapes.require(rest.json(), {**shapes.REFUND, "amount": {"amount": 2_790, "currency": "EUR"}})
    assert (part.json()["status"], rest.json()["status"]) == ("succeeded", "succeeded")
    assert shopper.ok("GET", f"/payments/{paid['id']}")["refunded"] == paid["amount"]
    listed = shopper.ok("GET", path)
    shapes.require(listed, shapes.page_of(shapes.REFUND))
    assert listed["results"] == [rest.json(), part.json()]
    assert staff.ok("GET", path) == listed


def test_refunds_are_read_page_by_page_and_back(staff: Api, path: str) -> None:
    made = [staff.ok("POST", path, {"amount": euros(1), "reason": "Again."})["id"] for _ in range(3)]

    first = staff.ok("GET", f"{path}?limit=2")
    second = staff.ok("GET", first["next"].removeprefix("http://testserver"))
    back = staff.ok("GET", second["previous"].removeprefix("http://testserver"))

    pages = [[one["id"] for one in page["results"]] for page in (first, second, back)]
    assert pages == [[made[2], made[1]], [made[0]], [made[2], made[1]]]
    assert (first["previous"], second["next"]) == (None, None)


def test_more_than_came_does_not_go_back(staff: Api, paid: Shown, path: str) -> None:
    staff.ok("POST", path, {"amount": euros(30), "reason": "Most of it."})

    refused = staff("POST", path, {"amount": euros(8), "reason": "A little more than the rest."})

    assert problem(refused, "payment_id", "refundable") == (409, "refund_exceeds_captured")
    assert refused.json()["refundable"] == {"amount": 790, "currency": "EUR"}
    assert staff.ok("GET", f"/payments/{paid['id']}")["refunded"] == euros(30)


def test_an_unpaid_payment_has_nothing_to_give_back(staff: Api, shopper: Api, order: Shown, gateway: Gateway) -> None:
    payment = shopper.ok("POST", "/payments", {"order_id": order["id"], "return_url": RETURN_URL})

    refused = staff("POST", f"/payments/{payment['id']}/refunds", {"reason": "Nothing came."})

    assert problem(refused, "payment_id", "refundable") == (409, "refund_exceeds_captured")
    assert refused.json()["refundable"] == euros(0)


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({}, {"/reason": "required"}),
        ({"reason": ""}, {"/reason": "blank"}),
        ({"reason": "x" * 501}, {"/reason": "max_length"}),
        ({"reason": "x", "status": "succeeded"}, {"/status": "unknown_field"}),
        ({"reason": "x", "amount": 100}, {"/amount": "invalid"}),
        ({"reason": "x", "amount": None}, {"/amount": "null"}),
        ({"reason": "x", "amount": {"amount": 100}}, {"/amount/currency": "required"}),
        ({"reason": "x", "amount": {"amount": 0, "currency": "EUR"}}, {"/amount/amount": "min_value"}),
        ({"reason": "x", "amount": {"amount": -1, "currency": "EUR"}}, {"/amount/amount": "min_value"}),
        ({"reason": "x", "amount": {"amount": 10.0, "currency": "EUR"}}, {"/amount/amount": "invalid"}),
        ({"reason": "x", "amount": {"amount": 9.99, "currency": "EUR"}}, {"/amount/amount": "invalid"}),
        ({"reason": "x", "amount": {"amount": "100", "currency": "EUR"}}, {"/amount/amount": "invalid"}),
        ({"reason": "x", "amount": {"amount": True, "currency": "EUR"}}, {"/amount/amount": "invalid"}),
        ({"reason": "x", "amount": {"amount": 2**63, "currency": "EUR"}}, {"/amount/amount": "max_value"}),
        ({"reason": "x", "amount": {"amount": 1, "currency": "USD"}}, {"/amount/currency": "currency_differs"}),
        ({"reason": "x", "amount": {"amount": 1, "currency": "eur"}}, {"/amount/currency": "currency_differs"}),
        ({"reason": "x", "amount": {"amount": 1, "currency": "EUR", "x": 1}}, {"/amount/x": "unknown_field"}),
    ],
)
def test_what_is_no_wish_for_a_refund(staff: Api, system: Api, path: str, body: Shown, wrong: dict[str, str]) -> None:
    assert fields(staff("POST", path, body)) == wrong
    assert fields(system("POST", f"/internal{path}", body)) == wrong
    assert not Refund.objects.exists()


def test_only_staff_give_money_back(shopper: Api, stranger: Api, nobody: Api, system: Api, path: str) -> None:
    body = {"reason": "I would like to."}

    assert problem(shopper("POST", path, body)) == (403, "permission_denied")
    assert problem(stranger("POST", path, body), "payment_id") == (404, "not_found")
    assert problem(stranger("GET", path), "payment_id") == (404, "not_found")
    for caller in (nobody, system):
        assert problem(caller("POST", path, body)) == (401, "not_authenticated")
    assert not Refund.objects.exists()


def test_the_same_wish_again_is_answered_and_not_done_again(staff: Api, path: str) -> None:
    body = {"amount": euros(10), "reason": "A dent."}

    first, again = (staff("POST", path, body, idempotency_key="dent-1") for _ in range(2))
    other = staff("POST", path, {**body, "amount": euros(11)}, idempotency_key="dent-1")

    assert (first.status_code, again.status_code, again["Idempotent-Replayed"]) == (201, 201, "true")
    assert first.content == again.content
    assert problem(other) == (422, "idempotency_key_reused")
    assert Refund.objects.count() == 1


def test_a_wish_whose_answer_was_lost_is_found_again(
    staff: Api, system: Api, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for caller, at in ((staff, path), (system, f"/internal{path}")):
        body = {"amount": euros(10), "reason": f"A dent, told at {at}."}
        with monkeypatch.context() as broken:
            # After the refund is committed and sent, and before its answer is kept under the key.
            broken.setattr("payments.views.refund_json", lambda _: 1 // 0)
            lost = caller("POST", at, body, idempotency_key="dent-2")

        again = caller("POST", at, body, idempotency_key="dent-2")

        assert (lost.status_code, again.status_code) == (500, 201)
        assert again.json()["id"] == str(Refund.objects.get(reason=body["reason"]).id)


def test_a_silent_gateway_is_no_refusal(staff: Api, path: str, gateway: Gateway) -> None:
    gateway.faults(fail_requests=9)

    waiting = staff("POST", path, {"reason": "All of it."})

    assert waiting.status_code == 201
    assert waiting.json()["status"] == "unknown"
    assert problem(staff("POST", path, {"reason": "Once more."}), "payment_id", "refundable")[0] == 409


def test_a_refusal_of_the_gateways_is_shown(staff: Api, path: str, gateway: Gateway) -> None:
    gateway.faults(reject_refunds=1)

    rejected = staff.ok("POST", path, {"reason": "All of it."})
    after = staff.ok("POST", path, {"reason": "Once more."})

    assert (rejected["status"], after["status"]) == ("rejected", "succeeded")


def test_the_houses_own_systems_give_back_with_the_scope(system: Api, narrow: Api, path: str) -> None:
    body = {"amount": euros(10), "reason": "From the warehouse."}

    refused = narrow("POST", f"/internal{path}", body)
    given = system("POST", f"/internal{path}", body)

    assert problem(refused, "scope") == (403, "insufficient_scope")
    assert json.loads(refused.content)["scope"] == "payments:refund"
    assert given.status_code == 201
    shapes.require(given.json(), {**shapes.REFUND, "status": "succeeded"})
    missing = system("POST", "/internal/payments/nope/refunds", body)
    assert problem(missing, "payment_id") == (404, "not_found")
