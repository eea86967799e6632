"""What a shopper may not decide: how much, in which currency, where it stands, and where the browser goes."""

from typing import Any

import pytest

from tests.contract.conftest import ADDRESS, OFFER, RETURN_URL, Api, fields, problem
from tests.integrations.sandbox_gateway.harness import Gateway

Shown = dict[str, Any]


@pytest.mark.parametrize("member", ["status", "amount", "currency"])
def test_status_amount_and_currency_in_a_body_are_refused_wherever_money_is_asked_for(
    member: str, shopper: Api, order: Shown, gateway: Gateway
) -> None:
    shopper.ok("POST", "/cart/me/items", {"sku": "BOWL", "quantity": 1})
    checkout = shopper.ok("POST", "/checkout", OFFER)
    payment = shopper.ok("POST", "/payments", {"order_id": order["id"], "return_url": RETURN_URL})
    bodies: dict[str, Shown] = {
        "/cart/me/items": {"sku": "BOWL", "quantity": 1},
        "/checkout": OFFER,
        "/orders": {"checkout_id": checkout["id"]},
        f"/orders/{order['id']}/cancel": {},
        "/payments": {"order_id": order["id"], "return_url": RETURN_URL},
        f"/payments/{payment['id']}/cancel": {},
    }

    refusals = {path: fields(shopper("POST", path, {**body, member: "1"})) for path, body in bodies.items()}

    assert refusals == {path: {f"/{member}": "unknown_field"} for path in bodies}
    seen = shopper.ok("GET", f"/payments/{payment['id']}")
    assert (seen["status"], seen["amount"]) == ("pending", order["totals"]["total"])
    assert shopper.ok("GET", f"/orders/{order['id']}")["status"] == "pending_payment"


@pytest.mark.parametrize("address", ["//evil", "https://ok@evil", "\\\\evil", "http://localhost:3000@evil.example/"])
def test_a_return_address_that_leads_elsewhere_is_a_400_and_begins_no_payment(
    address: str, shopper: Api, order: Shown, gateway: Gateway
) -> None:
    refused = shopper("POST", "/payments", {"order_id": order["id"], "return_url": address})

    assert problem(refused, "errors") == (400, "return_url_not_allowed")
    assert shopper.ok("GET", f"/payments?order_id={order['id']}")["results"] == []


def test_a_card_number_typed_into_a_wrong_field_is_named_and_not_repeated(shopper: Api) -> None:
    shopper.ok("POST", "/cart/me/items", {"sku": "BOWL", "quantity": 1})
    card = "4242 4242 4242 4242"

    refused = shopper("POST", "/checkout", {**OFFER, "shipping_address": {**ADDRESS, "line1": card}})

    assert fields(refused) == {"/shipping_address/line1": "looks_like_card_number"}
    assert "4242 4242" not in refused.content.decode()
