"""A gateway that lies about amounts lies about every session it is asked for, so this journey comes last."""

import pytest

from tests.journeys.shopper import Shopper
from tests.journeys.stack import Stack
from tests.journeys.test_callbacks import SUCCESSES, callbacks
from tests.journeys.waiting import eventually

pytestmark = pytest.mark.journey


def test_a_lie_about_the_amount_is_held_for_a_person(stack: Stack, shopper: Shopper) -> None:
    order = shopper.buy()

    with stack.faults(wrong_amount=True):
        payment = shopper.pay_order(order)
        eventually("the quarantine", lambda: ("session.paid", "quarantined") in callbacks(stack, payment))

    assert shopper.see_order(order)["status"] == "pending_payment"
    assert shopper.stored_status(payment) == "pending"
    assert stack.rows(SUCCESSES, payment["id"]) == []
