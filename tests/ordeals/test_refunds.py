"""Money on its way back, through the real gateway process, with what can happen to it there."""

import pytest

from tests.journeys.shopper import CONFIRMATION, RECEIPT, Shopper
from tests.journeys.stack import Shown, Stack
from tests.journeys.waiting import eventually
from tests.ordeals.gateway import session_of

pytestmark = pytest.mark.journey

REFUNDED, REVERSED, REJECTED = "refund_sent", "refund_reversed", "refund_rejected"
REFUNDS = "SELECT status FROM payments_refund WHERE attempt_id = %s"
HELD = "SELECT refund_held, refunded FROM payments_attempt WHERE id = %s"
POSTED = """
SELECT kind, debit, credit, amount FROM payments_posting WHERE attempt_id = %s AND kind IN ('refund', 'reversal')
ORDER BY id
"""


@pytest.fixture
def staff(stack: Stack) -> Shopper:
    """Somebody who works here."""
    person = Shopper(stack, enter=False)
    login = {"email": "staff@example.com", "password": "staff-demo-1"}
    person.token = person.call("POST", "/auth/token", login)["access"]
    return person


@pytest.fixture
def paid(shopper: Shopper) -> tuple[Shown, Shown]:
    """An order that is paid, and its payment."""
    order = shopper.buy()
    payment = shopper.pay_order(order)
    shopper.until_order(order, "paid")
    return order, payment


def at_the_gateway(stack: Stack, payment: Shown) -> list[str]:
    """Return where the gateway's refunds of a payment stand."""
    page = stack.gateway("GET", f"/v1/refunds?session_id={session_of(payment)}")
    return [refund["status"] for refund in page["data"]]


def until_refund(stack: Stack, payment: Shown, status: str) -> None:
    """Wait until the payment's one refund has this status."""
    eventually(f"the refund to be {status}", lambda: stack.rows(REFUNDS, payment["id"]) == [(status,)])


def test_a_time_out_after_the_gateway_gave_it_back_is_one_refund(
    stack: Stack, shopper: Shopper, staff: Shopper, paid: tuple[Shown, Shown]
) -> None:
    order, payment = paid
    with stack.faults(timeout_after_doing=1, drop_callbacks=True):
        answer = staff.ask("POST", f"/payments/{payment['id']}/refunds", {"reason": "broken"}, key=f"r-{payment['id']}")
        until_refund(stack, payment, "succeeded")

    assert answer.status in {201, 202, 503}
    assert at_the_gateway(stack, payment) == ["succeeded"]
    total = order["totals"]["total"]["amount"]
    assert stack.rows(HELD, payment["id"]) == [(total, total)]
    assert [(kind, amount) for kind, _, _, amount in stack.rows(POSTED, payment["id"])] == [("refund", total)]
    shopper.until_mails(order, CONFIRMATION, RECEIPT, REFUNDED)
    again = staff.ask("POST", f"/payments/{payment['id']}/refunds", {"reason": "broken"})
    assert (again.status, again.body["code"]) == (409, "refund_exceeds_captured")


def test_a_refund_that_succeeded_and_later_failed_is_reversed_in_the_books_told_and_counted(
    stack: Stack, shopper: Shopper, staff: Shopper, paid: tuple[Shown, Shown]
) -> None:
    order, payment = paid
    counted = stack.metric("payments_refund_moves_total", of="worker", status="reversed")
    with stack.faults(reverse_refunds=1):
        staff.call("POST", f"/payments/{payment['id']}/refunds", {"reason": "broken"})
        until_refund(stack, payment, "reversed")

    total = order["totals"]["total"]["amount"]
    given, back = stack.rows(POSTED, payment["id"])
    assert (given[0], back[0]) == ("refund", "reversal")
    assert (given[1], given[2], given[3]) == (back[2], back[1], total)
    assert back[3] == total
    assert stack.rows(HELD, payment["id"]) == [(0, 0)]
    shopper.until_mails(order, CONFIRMATION, RECEIPT, REFUNDED, REVERSED)
    # `RefundReversed` asks for this figure; see deploy/prometheus/tests.
    eventually(
        "the figure",
        lambda: stack.metric("payments_refund_moves_total", of="worker", status="reversed") == counted + 1,
    )


def test_a_rejected_refund_lets_the_money_go_and_alerts_once(
    stack: Stack, staff: Shopper, paid: tuple[Shown, Shown]
) -> None:
    order, payment = paid
    with stack.faults(reject_refunds=1):
        staff.ask("POST", f"/payments/{payment['id']}/refunds", {"reason": "broken"})
        until_refund(stack, payment, "rejected")

    assert stack.rows(HELD, payment["id"]) == [(0, 0)]
    assert stack.rows(POSTED, payment["id"]) == []
    mails = "SELECT recipient FROM notifications_mail WHERE order_id = %s AND template = %s"
    alerts = eventually("the mail to the staff", lambda: stack.rows(mails, order["id"], REJECTED))
    assert len(alerts) == 1
