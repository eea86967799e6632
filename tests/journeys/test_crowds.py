"""Many at once, and a Redis that forgets."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from http.client import HTTPConnection

import pytest
import redis

from integrations.demo.purchase import GOOD_CARD
from tests.journeys.shopper import CONFIRMATION, RECEIPT, Shopper
from tests.journeys.stack import Stack

pytestmark = pytest.mark.journey

SCARCE = "STA-PEN-WALNUT"


def test_twenty_shoppers_for_five_units_make_five_orders(stack: Stack) -> None:
    assert stack.rows("SELECT on_hand, held FROM inventory_stock WHERE sku = %s", SCARCE) == [(5, 0)]

    def try_to_buy(_: int) -> str:
        shopper = Shopper(stack)
        put = shopper.ask("POST", "/cart/me/items", {"sku": SCARCE, "quantity": 1})
        if put.status != 200:
            assert (put.status, put.body["code"], put.body["available"]) == (409, "insufficient_stock", 0)
            return "refused"
        address = {"name": "A", "line1": "B", "city": "C", "postal_code": "10115", "country": "DE"}
        offer = {"email": "a@example.com", "shipping_address": address, "shipping_method": "standard"}
        checkout = shopper.ask("POST", "/checkout", offer)
        if checkout.status != 201:
            assert (checkout.status, checkout.body["code"]) == (409, "insufficient_stock")
            return "refused"
        order = shopper.order(checkout.body)
        shopper.pay_order(order)
        return str(shopper.until_order(order, "paid")["status"])

    with ThreadPoolExecutor(20) as crowd:
        ends = sorted(crowd.map(try_to_buy, range(20)))

    assert ends == ["paid"] * 5 + ["refused"] * 15
    assert stack.rows("SELECT on_hand, held FROM inventory_stock WHERE sku = %s", SCARCE) == [(0, 0)]
    assert stack.one("SELECT count(*) FROM orders_line WHERE sku = %s", SCARCE) == 5


def test_connections_a_proxy_keeps_open_hold_up_nobody_else(stack: Stack) -> None:
    # More than both workers have threads for. One that has no room looks for it again after half a minute.
    crowd = [HTTPConnection("127.0.0.1", stack.web_port, timeout=25) for _ in range(300)]
    with ExitStack() as kept:
        for connection in crowd:
            kept.callback(connection.close)
            connection.request("GET", "/healthz")

        answers = [connection.getresponse() for connection in crowd]

        assert [(answer.status, answer.will_close) for answer in answers] == [(200, False)] * len(crowd)
        for answer in answers:
            answer.close()


def test_twenty_repeats_at_once_make_one_payment(stack: Stack, shopper: Shopper) -> None:
    order = shopper.buy()
    body = {"order_id": order["id"], "return_url": f"{shopper.base_url}/docs"}

    with ThreadPoolExecutor(20) as impatient:
        answers = list(impatient.map(lambda key: shopper.insist("/payments", body, key=f"tap-{key}"), range(20)))

    (payment_id,) = {answer.body["id"] for answer in answers}
    assert stack.rows("SELECT id::text FROM payments_attempt WHERE order_id = %s", order["id"]) == [(payment_id,)]
    # Whoever made it is told so, unless a busy gateway had him ask again.
    assert sorted(answer.status for answer in answers) in ([200] * 19 + [201], [200] * 20)
    assert len(stack.sessions(order["number"])) == 1


def test_a_redis_that_forgets_everything_costs_no_purchase(stack: Stack) -> None:
    client = redis.Redis.from_url(stack.addresses["REDIS_URL"])
    shoppers = [Shopper(stack) for _ in range(10)]
    orders = [shopper.buy() for shopper in shoppers]
    client.flushall()
    payments = [shopper.start_payment(order) for shopper, order in zip(shoppers, orders, strict=True)]
    for place, (shopper, payment) in enumerate(zip(shoppers, payments, strict=True)):
        shopper.pay(payment["redirect_url"], card_number=GOOD_CARD)
        if place % 3 == 0:
            client.flushall()
    client.flushall()
    client.close()

    for shopper, order in zip(shoppers, orders, strict=True):
        shopper.until_order(order, "paid")
        shopper.until_mails(order, CONFIRMATION, RECEIPT)
