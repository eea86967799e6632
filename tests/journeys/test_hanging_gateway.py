"""A gateway that does not answer, before a shop in which a call may wait long: nobody else waits."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.journeys.shopper import Shopper
from tests.journeys.stack import Stack
from tests.journeys.waiting import eventually

pytestmark = pytest.mark.journey

PAYERS = 16
# Two web processes with two slots each.
SLOTS = 4


def test_carts_orders_and_payments_are_answered_while_every_call_to_the_gateway_hangs(slow_stack: Stack) -> None:
    payers = [Shopper(slow_stack) for _ in range(PAYERS)]
    orders = [payer.buy() for payer in payers]
    reader = Shopper(slow_stack)

    def pay(number: int) -> tuple[int, str, int]:
        body = {"order_id": orders[number]["id"], "return_url": f"{slow_stack.web_url}/docs"}
        answer = payers[number].ask("POST", "/payments", body)
        return answer.status, answer.body["code"], int(answer.headers["Retry-After"])

    with slow_stack.faults(slow_seconds=60), ThreadPoolExecutor(PAYERS) as crowd:
        asked = [crowd.submit(pay, number) for number in range(PAYERS)]
        eventually("most to be refused", lambda: sum(one.done() for one in asked) >= PAYERS - SLOTS)
        refused = [one.result() for one in asked if one.done()]
        order = reader.buy()
        seen = reader.see_order(order)
        read = [payers[n].call("GET", f"/payments?order_id={orders[n]['id']}")["results"] for n in range(PAYERS)]
        looked_at = [payers[n].see_payment(payments[0]) for n, payments in enumerate(read)]
        hanging = [one for one in asked if not one.done()]

        # All of the above happened while these still waited for the gateway.
        assert 0 < len(hanging) <= SLOTS
        assert seen["status"] == "pending_payment"
        assert {payment["status"] for payment in looked_at} <= {"created", "unknown"}
    assert {(status, code) for status, code, _ in refused} == {(503, "gateway_unavailable")}
    assert all(seconds > 0 for _, _, seconds in refused)
    # Every attempt was kept, and the clock resolves it.
    for payer, (payment,) in zip(payers, read, strict=True):
        payer.until_payment(payment, "pending")
    assert {len(slow_stack.sessions(order["number"])) for order in orders} == {1}
