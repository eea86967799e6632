"""Money that goes back: through all processes, with the gateway's own store as the witness."""

import pytest

from integrations.demo.purchase import GOOD_CARD
from shop.kernel.ids import new_id
from tests.journeys.shopper import CONFIRMATION, RECEIPT, Shopper
from tests.journeys.stack import Shown, Stack
from tests.journeys.test_callbacks import session_of
from tests.journeys.waiting import eventually

pytestmark = pytest.mark.journey

REFUNDS = "SELECT status, amount, cause FROM payments_refund WHERE attempt_id = %s ORDER BY id"
HISTORY = """
SELECT move.to_status FROM payments_refund_move move JOIN payments_refund refund ON refund.id = move.refund_id
WHERE refund.attempt_id = %s ORDER BY move.id
"""
# What of the order's money still lies at the gateway, by our books, its fee apart.
LEFT = """
SELECT COALESCE(SUM(amount) FILTER (WHERE debit = 'gateway_receivable'), 0)
     - COALESCE(SUM(amount) FILTER (WHERE credit = 'gateway_receivable'), 0)
FROM payments_posting WHERE order_id = %s AND kind <> 'fee'
"""
SCARCE, SCARCE_UNITS = "TAB-MUG-MOSS", 75
TOPICS = ["refund.succeeded", "refund.rejected", "refund.reversed"]

Bought = tuple[Shown, Shown]


@pytest.fixture(scope="module")
def staff(stack: Stack) -> Shopper:
    """Somebody who may call paid orders off."""
    somebody = Shopper(stack, enter=False)
    login = {"email": "staff@example.com", "password": "staff-demo-1"}
    somebody.token = somebody.call("POST", "/auth/token", login)["access"]
    return somebody


@pytest.fixture
def bought(shopper: Shopper) -> Bought:
    """A paid order and its payment."""
    order = shopper.buy()
    payment = shopper.pay_order(order)
    return shopper.until_order(order, "paid"), payment


def call_off(staff: Shopper, order: Shown) -> None:
    staff.call("POST", f"/orders/{order['id']}/cancel", {"reason": "as asked"}, key=str(new_id()))


def refunds_there(stack: Stack, payment: Shown) -> list[tuple[str, int]]:
    """Return what the gateway itself has, oldest first."""
    page = stack.gateway("GET", f"/v1/refunds?session_id={session_of(payment)}")
    return [(refund["status"], refund["amount"]) for refund in page["data"]]


def until_refunds(stack: Stack, payment: Shown, *expected: tuple[str, int, str]) -> None:
    """Wait for exactly these `(status, amount, cause)`."""
    eventually(f"refunds {expected}", lambda: stack.rows(REFUNDS, payment["id"]) == list(expected))


def until_order_says(shopper: Shopper, order: Shown, payment_status: str) -> None:
    eventually(
        f"order {order['number']} to be {payment_status}",
        lambda: shopper.see_order(order)["payment_status"] == payment_status,
    )


def told(stack: Stack, order: Shown) -> list[str]:
    return [record.topic for record in stack.events(key=order["id"], topics=TOPICS)]


def test_a_paid_order_that_staff_call_off_gives_its_money_back(
    stack: Stack, shopper: Shopper, staff: Shopper, bought: Bought
) -> None:
    order, payment = bought
    total = order["totals"]["total"]["amount"]

    call_off(staff, order)

    until_refunds(stack, payment, ("succeeded", total, "cancelled"))
    until_order_says(shopper, order, "refunded")
    assert refunds_there(stack, payment) == [("succeeded", total)]
    assert stack.one(LEFT, order["id"]) == 0
    assert told(stack, order) == ["refund.succeeded"]


def test_staff_give_a_part_back_and_the_shopper_is_told(
    stack: Stack, staff: Shopper, shopper: Shopper, bought: Bought
) -> None:
    order, payment = bought
    wish = {"amount": {"amount": 500, "currency": "EUR"}, "reason": "A dented lid."}
    path, key = f"/payments/{payment['id']}/refunds", str(new_id())

    given, again = (staff.call("POST", path, wish, key=key) for _ in range(2))

    assert given == again
    until_refunds(stack, payment, ("succeeded", 500, "requested"))
    until_order_says(shopper, order, "partially_refunded")
    shopper.until_mails(order, CONFIRMATION, RECEIPT, "refund_sent")
    assert ["5.00" in str(mail["Subject"]) for mail in stack.mails(order["number"])].count(True) == 1
    assert shopper.see_order(order)["timeline"][-1]["type"] == "refunded"
    (listed,) = shopper.call("GET", path)["results"]
    assert listed | {"status": given["status"]} == given
    assert told(stack, order) == ["refund.succeeded"]


def test_a_refund_whose_answer_is_lost_is_made_once(stack: Stack, staff: Shopper, bought: Bought) -> None:
    order, payment = bought
    total = order["totals"]["total"]["amount"]

    # No callback may help: only the clock does. Each answer is lost, since it may close somebody's session just then.
    with stack.faults(timeout_after_doing=True, drop_callbacks=True):
        call_off(staff, order)
        eventually("silence", lambda: "unknown" in [status for (status,) in stack.rows(HISTORY, payment["id"])])
    with stack.faults(drop_callbacks=True):
        until_refunds(stack, payment, ("succeeded", total, "cancelled"))

    assert [status for (status,) in stack.rows(HISTORY, payment["id"])] == [
        "requested",
        "submitted",
        "unknown",
        "succeeded",
    ]
    assert refunds_there(stack, payment) == [("succeeded", total)]
    assert told(stack, order) == ["refund.succeeded"]


def test_a_refund_the_bank_refuses_lets_the_money_go(stack: Stack, staff: Shopper, bought: Bought) -> None:
    order, payment = bought
    total = order["totals"]["total"]["amount"]

    with stack.faults(reject_refunds=1):
        call_off(staff, order)
        until_refunds(stack, payment, ("rejected", total, "cancelled"))

    eventually("a person", lambda: stack.one("SELECT needs_review FROM orders_order WHERE id = %s", order["id"]))
    assert stack.rows("SELECT refund_held, refunded FROM payments_attempt WHERE id = %s", payment["id"]) == [(0, 0)]
    assert stack.one(LEFT, order["id"]) == total
    assert told(stack, order) == ["refund.rejected"]


def test_a_refund_that_comes_back_is_reversed_in_the_books(
    stack: Stack, shopper: Shopper, staff: Shopper, bought: Bought
) -> None:
    order, payment = bought
    total = order["totals"]["total"]["amount"]

    with stack.faults(reverse_refunds=1):
        call_off(staff, order)
        until_refunds(stack, payment, ("reversed", total, "cancelled"))

    until_order_says(shopper, order, "paid")
    assert stack.one(LEFT, order["id"]) == total
    assert told(stack, order) == ["refund.succeeded", "refund.reversed"]


def test_a_refund_made_in_the_gateways_dashboard_is_known_here_once(
    stack: Stack, shopper: Shopper, bought: Bought
) -> None:
    order, payment = bought

    with stack.faults(duplicate_callbacks=True):
        stack.gateway("POST", "/v1/refunds", {"session_id": session_of(payment), "amount": 100})
        until_refunds(stack, payment, ("succeeded", 100, "external"))

    until_order_says(shopper, order, "partially_refunded")
    assert shopper.see_payment(payment)["refunded"]["amount"] == 100
    assert told(stack, order) == ["refund.succeeded"]


def test_money_that_comes_after_the_stock_is_gone_goes_back_once(stack: Stack, shopper: Shopper) -> None:
    order = shopper.buy(SCARCE, 2)
    payment = shopper.start_payment(order)
    total = order["totals"]["total"]["amount"]
    stack.deadline_passes(order)
    shopper.until_order(order, "expired")
    rival = Shopper(stack)
    rival.until_order(rival.buy(SCARCE, SCARCE_UNITS), "pending_payment")

    with stack.faults(pay_after_close=True, duplicate_callbacks=True):
        shopper.pay(payment["redirect_url"], card_number=GOOD_CARD)
        until_refunds(stack, payment, ("succeeded", total, "late_payment"))

    until_order_says(shopper, order, "refunded")
    assert shopper.see_order(order)["status"] == "expired"
    assert refunds_there(stack, payment) == [("succeeded", total)]
    assert stack.one(LEFT, order["id"]) == 0
    assert told(stack, order) == ["refund.succeeded"]
