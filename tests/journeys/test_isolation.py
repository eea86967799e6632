"""Somebody else's things do not exist."""

import pytest

from tests.journeys.shopper import Shopper
from tests.journeys.stack import Stack

pytestmark = pytest.mark.journey


def test_a_guest_sees_and_changes_nothing_of_another(stack: Stack, shopper: Shopper) -> None:
    stranger = Shopper(stack)
    shopper.put("TEA-MINT-60")
    checkout = shopper.check_out()
    order = shopper.order(checkout)
    payment = shopper.start_payment(order)
    shopper.put("TEA-MINT-60")
    attempts = [
        ("GET", f"/cart/{shopper.id}", None),
        ("DELETE", f"/cart/{shopper.id}", None),
        ("POST", f"/cart/{shopper.id}/items", {"sku": "TEA-MINT-60", "quantity": 1}),
        ("PATCH", f"/cart/{shopper.id}/items/TEA-MINT-60", {"quantity": 0}),
        ("DELETE", f"/cart/{shopper.id}/items/TEA-MINT-60", None),
        ("GET", f"/checkout/{checkout['id']}", None),
        ("DELETE", f"/checkout/{checkout['id']}", None),
        ("POST", "/orders", {"checkout_id": checkout["id"]}),
        ("GET", f"/orders/{order['id']}", None),
        ("POST", f"/orders/{order['id']}/cancel", {}),
        ("POST", "/payments", {"order_id": order["id"], "return_url": f"{shopper.base_url}/docs"}),
        ("GET", f"/payments?order_id={order['id']}", None),
        ("GET", f"/payments/{payment['id']}", None),
        ("POST", f"/payments/{payment['id']}/cancel", {}),
    ]

    answers = {(method, path): stranger.ask(method, path, body) for method, path, body in attempts}

    assert {asked: answer.status for asked, answer in answers.items()} == dict.fromkeys(answers, 404)
    assert {answer.body["code"] for answer in answers.values()} == {"not_found"}
    assert stranger.call("GET", "/orders")["results"] == []
    assert shopper.call("GET", "/cart/me")["item_count"] == 1
    assert shopper.see_order(order)["status"] == "pending_payment"
    assert shopper.see_payment(payment)["status"] == "pending"


def test_the_same_key_of_another_guest_is_another_key(stack: Stack, shopper: Shopper) -> None:
    stranger = Shopper(stack)
    body = {"sku": "TEA-MINT-60", "quantity": 1}

    mine = shopper.ask("POST", "/cart/me/items", body, key="the same key")
    theirs = stranger.ask("POST", "/cart/me/items", body, key="the same key")

    assert mine.body["user_id"] == shopper.id
    assert theirs.body["user_id"] == stranger.id
    assert "Idempotent-Replayed" not in theirs.headers
