"""The operator's commands against a running shop and its gateway: drift nobody was told of is found, and mended."""

import pytest

from tests.journeys.shopper import Shopper
from tests.journeys.stack import Stack
from tests.journeys.test_callbacks import session_of
from tests.journeys.waiting import PATIENCE_SECONDS, eventually

pytestmark = pytest.mark.journey

FINDING = "SELECT kind, state FROM payments_finding WHERE order_id = %s"
REFUNDS = "SELECT status, amount, cause FROM payments_refund WHERE attempt_id = %s"


def reconcile(stack: Stack, *flags: str) -> tuple[int, str]:
    """Compare with the gateway alone and return the exit status and what was printed; other journeys drift too."""
    arguments = ["reconcile_payments", "--gateway", "sandbox", "--since", "1h", *flags]
    done = stack.attempt(*arguments, GATEWAY_READ_TIMEOUT_SECONDS=f"{PATIENCE_SECONDS:g}")
    return done.returncode, done.stdout + done.stderr


def test_a_refund_nobody_was_told_of_is_found_imported_and_in_the_ledger(stack: Stack, shopper: Shopper) -> None:
    order = shopper.buy()
    payment = shopper.pay_order(order)
    shopper.until_order(order, "paid")
    with stack.faults(drop_callbacks=True):
        refund = stack.gateway("POST", "/v1/refunds", {"session_id": session_of(payment), "amount": 100})

    eventually("the refund to be a finding", lambda: refund["id"] in reconcile(stack)[1])
    status, said = reconcile(stack)

    assert (status, "refund_unknown_here" in said) == (1, True)
    assert stack.rows(FINDING, order["id"]) == [("refund_unknown_here", "open")]
    assert stack.rows(REFUNDS, payment["id"]) == []

    _, mended = reconcile(stack, "--fix")

    assert f"refund_unknown_here {refund['id']}: mended" in mended
    assert stack.rows(FINDING, order["id"]) == [("refund_unknown_here", "fixed")]
    assert stack.rows(REFUNDS, payment["id"]) == [("succeeded", 100, "external")]
    assert "differ" not in stack.manage("check_ledger")


def test_a_gateway_that_is_out_of_order_is_a_status_of_its_own_and_touches_nothing(stack: Stack) -> None:
    before = stack.rows("SELECT id, state, seen_at FROM payments_finding ORDER BY id")

    with stack.faults(fail_requests=1_000):
        status, said = reconcile(stack)

    assert (status, "Could not ask: sandbox" in said) == (2, True)
    assert stack.rows("SELECT id, state, seen_at FROM payments_finding ORDER BY id") == before
