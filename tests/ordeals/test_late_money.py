"""Money that comes when nobody expects it any more: never lost, never counted twice, never kept in silence."""

from collections.abc import Callable

import pytest

from integrations.demo.purchase import GOOD_CARD
from tests.journeys.shopper import CONFIRMATION, EXPIRED, RECEIPT, Shopper
from tests.journeys.stack import Shown, Stack
from tests.journeys.waiting import eventually
from tests.ordeals.gateway import paid_in_secret, session_of

pytestmark = pytest.mark.journey

CANCELLED, REFUNDED = "order_cancelled", "refund_sent"
REFUNDS = "SELECT status, amount FROM payments_refund WHERE attempt_id = %s"
BALANCES = """
SELECT account, sum(amount) FROM (
    SELECT debit AS account, amount FROM payments_posting WHERE order_id = %(id)s::uuid AND kind <> 'fee'
    UNION ALL SELECT credit, -amount FROM payments_posting WHERE order_id = %(id)s::uuid AND kind <> 'fee'
) sides GROUP BY account HAVING sum(amount) <> 0
"""


def paid_after_closing(shopper: Shopper, payment: Shown) -> None:
    """Let the gateway take money for a session it has closed."""
    with shopper.stack.faults(pay_after_close=1):
        shopper.pay(payment["redirect_url"], card_number=GOOD_CARD)


def refunds_at_the_gateway(stack: Stack, payment: Shown) -> list[int]:
    """Return the amounts of the gateway's refunds of a payment."""
    page = stack.gateway("GET", f"/v1/refunds?session_id={session_of(payment)}")
    return [refund["amount"] for refund in page["data"]]


def given_back_once(stack: Stack, order: Shown, payment: Shown) -> None:
    """Require one refund of the whole, here and at the gateway, and nothing left in the books."""
    total = order["totals"]["total"]["amount"]
    eventually("the refund", lambda: stack.rows(REFUNDS, payment["id"]) == [("succeeded", total)])
    assert refunds_at_the_gateway(stack, payment) == [total]


def left_in_the_books(stack: Stack, order: Shown) -> dict[str, int]:
    """Return the balances the order's postings leave, the gateway's own fees aside."""
    return {
        account: int(balance) for account, balance in stack.rows(BALANCES.replace("%(id)s", "%s"), *[order["id"]] * 2)
    }


@pytest.fixture
def expired(stack: Stack, shopper: Shopper) -> Callable[[str], tuple[Shown, Shown]]:
    """Place an order for an article, start paying and let the window end."""

    def buy_and_wait(sku: str) -> tuple[Shown, Shown]:
        order = shopper.buy(sku)
        payment = shopper.start_payment(order)
        stack.deadline_passes(order)
        shopper.until_order(order, "expired")
        return order, payment

    return buy_and_wait


def test_success_after_expiry_with_the_stock_gone_is_one_refund_and_the_customer_is_told(
    stack: Stack, shopper: Shopper, expired: Callable[[str], tuple[Shown, Shown]]
) -> None:
    order, payment = expired("HOM-HOTWATER")
    on_hand = stack.one("SELECT on_hand FROM inventory_stock WHERE sku = 'HOM-HOTWATER'")
    stack.rows("UPDATE inventory_stock SET on_hand = held WHERE sku = 'HOM-HOTWATER' RETURNING 1")

    paid_after_closing(shopper, payment)

    given_back_once(stack, order, payment)
    shopper.until_mails(order, CONFIRMATION, EXPIRED, RECEIPT, REFUNDED)
    seen = shopper.see_order(order)
    assert (seen["status"], seen["payment_status"]) == ("expired", "refunded")
    assert left_in_the_books(stack, order) == {}
    stack.rows("UPDATE inventory_stock SET on_hand = %s WHERE sku = 'HOM-HOTWATER' RETURNING 1", on_hand)


def test_success_after_expiry_with_stock_there_revives_the_order(
    stack: Stack, shopper: Shopper, expired: Callable[[str], tuple[Shown, Shown]]
) -> None:
    order, payment = expired("TAB-STRAINER")

    paid_after_closing(shopper, payment)

    shopper.until_order(order, "paid")
    shopper.until_mails(order, CONFIRMATION, EXPIRED, RECEIPT)
    assert stack.rows(REFUNDS, payment["id"]) == []
    assert refunds_at_the_gateway(stack, payment) == []


def test_success_after_the_shopper_cancelled_goes_back_and_is_never_silent(stack: Stack, shopper: Shopper) -> None:
    order = shopper.buy()
    payment = shopper.start_payment(order)
    shopper.call("POST", f"/orders/{order['id']}/cancel", {})
    shopper.until_payment(payment, "cancelled")

    paid_after_closing(shopper, payment)

    given_back_once(stack, order, payment)
    shopper.until_mails(order, CONFIRMATION, CANCELLED, RECEIPT, REFUNDED)
    seen = shopper.see_order(order)
    assert (seen["status"], seen["payment_status"]) == ("cancelled", "refunded")
    assert left_in_the_books(stack, order) == {}


def test_two_attempts_that_both_succeed_are_one_fulfilment_and_one_refund(stack: Stack, shopper: Shopper) -> None:
    order = shopper.buy("TAB-BOWL-18")
    held = stack.one("SELECT held FROM inventory_stock WHERE sku = 'TAB-BOWL-18'")
    on_hand = stack.one("SELECT on_hand FROM inventory_stock WHERE sku = 'TAB-BOWL-18'")
    first = shopper.start_payment(order)
    shopper.insist(f"/payments/{first['id']}/cancel", {})
    second = shopper.pay_order(order)
    shopper.until_order(order, "paid")

    paid_after_closing(shopper, first)

    given_back_once(stack, order, first)
    assert refunds_at_the_gateway(stack, second) == []
    seen = shopper.see_order(order)
    assert (seen["status"], [entry["type"] for entry in seen["timeline"]].count("paid")) == ("paid", 1)
    stock = "SELECT on_hand, held FROM inventory_stock WHERE sku = 'TAB-BOWL-18'"
    assert stack.rows(stock) == [(on_hand - 1, held - 1)]
    total = order["totals"]["total"]["amount"]
    assert left_in_the_books(stack, order) == {"gateway_receivable": total, "customer_liability": -total}


def test_a_gateway_that_refuses_to_close_because_it_is_paid_is_believed(stack: Stack, shopper: Shopper) -> None:
    paid = paid_in_secret(shopper)

    stack.deadline_passes(paid.order)

    shopper.until_order(paid.order, "paid")
    assert paid.moves() == ["expiry"]
    assert "expired" not in {entry["type"] for entry in shopper.see_order(paid.order)["timeline"]}
