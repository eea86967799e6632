"""Purchases from cart to receipt, through all processes."""

import json

import jsonschema
import pytest

from integrations.demo.purchase import DECLINED_CARD
from integrations.embedded.child import PROJECT_ROOT
from tests.journeys.shopper import CONFIRMATION, FAILED, NO_FUNDS_CARD, RECEIPT, SLOW_CARD, Shopper
from tests.journeys.stack import Shown, Stack
from tests.journeys.waiting import eventually

pytestmark = pytest.mark.journey

STOCK = "SELECT on_hand, held FROM inventory_stock WHERE sku = %s"
# What analytics has yet to hear of earlier tests' orders.
UNCOUNTED = """
SELECT count(*) FROM event_log
WHERE type IN ('order.paid.v1', 'analytics.events.v1')
  AND NOT EXISTS (SELECT FROM kafka_inbox WHERE consumer = 'analytics' AND event_id = event_log.id)
"""
TOPICS = ["order.created", "payment.failed", "payment.success", "order.paid", "order.cancelled"]


def types(order: Shown) -> list[str]:
    return [entry["type"] for entry in order["timeline"]]


def topics(stack: Stack, order: Shown) -> list[str]:
    return [record.topic for record in stack.events(key=order["id"], topics=TOPICS)]


def test_a_purchase_leaves_its_traces_everywhere(stack: Stack, shopper: Shopper) -> None:
    eventually("everything before to be counted", lambda: stack.one(UNCOUNTED) == 0)
    ((on_hand, held),) = stack.rows(STOCK, "TAB-STRAINER")
    published = stack.metric("shop_relay_published_total", of="relay", topic="payment.success")
    completed = stack.metric("shop_user_actions_total", of="consumers", name="Order Completed")

    order = shopper.buy("TAB-STRAINER", 3)
    assert stack.rows(STOCK, "TAB-STRAINER") == [(on_hand, held + 3)]
    payment = shopper.pay_order(order)
    paid = shopper.until_order(order, "paid")

    assert paid["payment_status"] == "paid"
    assert types(paid) == ["placed", "paid"]
    assert shopper.see_payment(payment)["status"] == "succeeded"
    moves = "SELECT to_status, source FROM payments_move WHERE attempt_id = %s ORDER BY id"
    *begun, (end, source) = stack.rows(moves, payment["id"])
    assert begun[0] == ("created", "start")
    # A gateway too busy to answer at once is asked again.
    assert ([status for status, _ in begun if status != "unknown"], end) == (["created", "pending"], "succeeded")
    # On a busy machine the clock may have been quicker; see tests/ordeals, where it never is.
    assert source in {"callback", "poll"}
    callback = "SELECT type, state FROM payments_callback WHERE session_id = %s"
    session_id = payment["redirect_url"].rpartition("/")[2]
    eventually("the callback", lambda: stack.rows(callback, session_id) == [("session.paid", "applied")])
    assert stack.rows(STOCK, "TAB-STRAINER") == [(on_hand - 3, held)]
    (session,) = stack.sessions(order["number"])
    assert (session["status"], session["captured_amount"]) == ("paid", order["totals"]["total"]["amount"])
    shopper.until_mails(order, CONFIRMATION, RECEIPT)
    assert [mail["To"] for mail in stack.mails(order["number"])] == ["ada@example.com"] * 2
    assert shopper.call("GET", "/cart/me")["lines"] == []
    assert topics(stack, order) == ["order.created", "payment.success", "order.paid"]
    eventually(
        "the relay to have counted",
        lambda: stack.metric("shop_relay_published_total", of="relay", topic="payment.success") == published + 1,
    )
    eventually(
        "analytics to count the order",
        lambda: stack.metric("shop_user_actions_total", of="consumers", name="Order Completed") == completed + 1,
    )


def test_events_conform_to_their_schemas_and_carry_no_person(stack: Stack, shopper: Shopper) -> None:
    order = shopper.buy()
    shopper.pay_order(order)
    shopper.until_order(order, "paid")

    records = stack.events(key=order["id"], topics=TOPICS)

    assert [record.topic for record in records] == ["order.created", "payment.success", "order.paid"]
    for record in records:
        event_type = record.headers["ce_type"].decode()
        schema = json.loads((PROJECT_ROOT / "docs/events" / f"{event_type}.schema.json").read_text())
        jsonschema.validate(json.loads(record.value), schema)
        assert event_type == f"{record.topic}.v1"
        assert record.headers["ce_specversion"] == b"1.0"
        assert record.headers["ce_subject"].decode() == order["id"]
        for private in ("ada@example.com", "Ada Demo", "Lindenallee", '"10115"'):
            assert private not in record.value.decode()


def test_a_request_id_travels_from_the_call_to_what_its_event_causes(stack: Stack, shopper: Shopper) -> None:
    shopper.put("TEA-SENCHA-50")
    checkout = shopper.check_out()

    placed = shopper.ask("POST", "/orders", {"checkout_id": checkout["id"]}, headers={"X-Request-ID": "journey-4711"})
    shopper.pay_order(placed.body)
    shopper.until_order(placed.body, "paid")

    assert placed.headers["X-Request-ID"] == "journey-4711"
    created, success, paid = stack.events(
        key=placed.body["id"], topics=["order.created", "payment.success", "order.paid"]
    )
    assert created.headers["ce_correlationid"] == b"journey-4711"
    # The callback is a request of its own; what orders makes of the news belongs to it.
    assert paid.headers["ce_correlationid"] == success.headers["ce_correlationid"] != b"journey-4711"
    assert paid.headers["ce_causationid"] == success.headers["ce_id"]


@pytest.mark.parametrize(("card", "code"), [(DECLINED_CARD, "card_declined"), (NO_FUNDS_CARD, "insufficient_funds")])
def test_a_refused_card_leaves_the_order_to_another_try(stack: Stack, shopper: Shopper, card: str, code: str) -> None:
    order = shopper.buy()
    refused = shopper.pay_order(order, card=card)
    shopper.until_payment(refused, "failed")

    assert shopper.see_payment(refused)["failure"]["code"] == code
    assert shopper.see_order(order)["status"] == "pending_payment"

    again = shopper.pay_order(order)
    paid = shopper.until_order(order, "paid")

    assert again["id"] != refused["id"]
    assert types(paid) == ["placed", "payment_failed", "paid"]
    shopper.until_mails(order, CONFIRMATION, FAILED, RECEIPT)
    assert topics(stack, order) == ["order.created", "payment.failed", "payment.success", "order.paid"]


def test_a_card_that_takes_its_time_is_paid_in_the_end(shopper: Shopper) -> None:
    order = shopper.buy()
    payment = shopper.pay_order(order, card=SLOW_CARD)
    shopper.until_payment(payment, "processing")

    paid = shopper.until_order(order, "paid")

    assert shopper.see_payment(payment)["status"] == "succeeded"
    assert types(paid) == ["placed", "paid"]


def test_the_cancel_link_ends_the_payment_and_not_the_order(shopper: Shopper) -> None:
    order = shopper.buy()
    payment = shopper.start_payment(order)

    back = shopper.turn_back(payment["redirect_url"])

    assert back == f"{shopper.base_url}/docs?payment_id={payment['id']}"
    shopper.until_payment(payment, "cancelled")
    assert shopper.see_order(order)["status"] == "pending_payment"
    shopper.pay_order(order)
    shopper.until_order(order, "paid")
    # Who turns back knows it: no mail says so.
    shopper.until_mails(order, CONFIRMATION, RECEIPT)


def test_a_payment_called_off_through_the_api_is_closed_at_the_gateway(stack: Stack, shopper: Shopper) -> None:
    order = shopper.buy()
    payment = shopper.start_payment(order)

    cancelled = shopper.insist(f"/payments/{payment['id']}/cancel", {})

    assert (cancelled.status, cancelled.body["status"]) == (200, "cancelled")
    assert [session["status"] for session in stack.sessions(order["number"])] == ["closed"]
    assert shopper.see_order(order)["status"] == "pending_payment"


def test_a_cancelled_order_closes_its_payment_and_frees_its_stock(stack: Stack, shopper: Shopper) -> None:
    before = stack.rows(STOCK, "HOM-HOTWATER")
    order = shopper.buy("HOM-HOTWATER", 2)
    payment = shopper.start_payment(order)

    cancelled = shopper.call("POST", f"/orders/{order['id']}/cancel", {"reason": "changed my mind"})

    assert cancelled["status"] == "cancelled"
    shopper.until_payment(payment, "cancelled")
    assert [session["status"] for session in stack.sessions(order["number"])] == ["closed"]
    assert stack.rows(STOCK, "HOM-HOTWATER") == before
    assert "order.cancelled" in topics(stack, order)
    late = shopper.ask("POST", "/payments", {"order_id": order["id"], "return_url": f"{shopper.base_url}/docs"})
    assert (late.status, late.body["code"]) == (409, "order_not_payable")


def test_a_repeat_of_every_post_is_answered_as_the_first_time(stack: Stack, shopper: Shopper) -> None:
    def twice(path: str, body: Shown) -> Shown:
        first, again = (shopper.insist(path, body, key=f"journey{path}") for _ in range(2))
        assert first.status in {200, 201}, first
        assert (again.status, again.body) == (first.status, first.body)
        assert "Idempotent-Replayed" not in first.headers
        assert again.headers["Idempotent-Replayed"] == "true"
        shown: Shown = first.body
        return shown

    address = {"name": "A", "line1": "B", "city": "C", "postal_code": "10115", "country": "DE"}
    cart = twice("/cart/me/items", {"sku": "TEA-MINT-60", "quantity": 2})
    assert cart["item_count"] == 2
    offer = {"email": "a@example.com", "shipping_address": address, "shipping_method": "standard"}
    checkout = twice("/checkout", offer)
    order = twice("/orders", {"checkout_id": checkout["id"]})
    payment = twice("/payments", {"order_id": order["id"], "return_url": f"{shopper.base_url}/docs"})
    twice(f"/payments/{payment['id']}/cancel", {})
    twice(f"/orders/{order['id']}/cancel", {})

    # Without a key the natural identities hold.
    assert shopper.ask("POST", "/orders", {"checkout_id": checkout["id"]}).status == 200
    assert stack.one("SELECT count(*) FROM orders_order WHERE checkout_id = %s", checkout["id"]) == 1
    assert len(stack.sessions(order["number"])) == 1
    shopper.until_mails(order, CONFIRMATION, "order_cancelled")
