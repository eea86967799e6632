"""The end of the payment window. The order was placed when the stack started; see `abandoned`."""

import pytest

from integrations.demo.purchase import GOOD_CARD
from tests.journeys.shopper import CONFIRMATION, EXPIRED, RECEIPT, Shopper
from tests.journeys.stack import Shown, Stack

pytestmark = pytest.mark.journey


def test_the_session_is_closed_the_order_expires_and_the_stock_comes_back(
    stack: Stack, abandoned: tuple[Shopper, Shown, Shown]
) -> None:
    shopper, order, payment = abandoned

    expired = shopper.until_order(order, "expired")

    assert "expired" in [entry["type"] for entry in expired["timeline"]]
    # The gateway's own clock may have ended the session a moment before the shop closed it.
    assert [session["status"] for session in stack.sessions(order["number"])] in (["closed"], ["expired"])
    assert shopper.see_payment(payment)["status"] == "expired"
    assert stack.rows("SELECT on_hand, held FROM inventory_stock WHERE sku = 'TAB-KETTLE-IRON'") == [(60, 0)]
    shopper.until_mails(order, CONFIRMATION, EXPIRED)
    (failed,) = stack.events(key=order["id"], topics=["payment.failed"])
    assert b'"expired"' in failed.value


def test_late_money_revives_the_order_while_there_is_stock(
    stack: Stack, abandoned: tuple[Shopper, Shown, Shown]
) -> None:
    shopper, order, payment = abandoned
    shopper.until_order(order, "expired")

    with stack.faults(pay_after_close=True):
        shopper.pay(payment["redirect_url"], card_number=GOOD_CARD)
        revived = shopper.until_order(order, "paid")

    assert revived["payment_status"] == "paid"
    assert {"expired", "revived"} <= {entry["type"] for entry in revived["timeline"]}
    assert stack.rows("SELECT on_hand, held FROM inventory_stock WHERE sku = 'TAB-KETTLE-IRON'") == [(58, 0)]
    shopper.until_mails(order, CONFIRMATION, EXPIRED, RECEIPT)
