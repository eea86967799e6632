"""What the gateway tells twice, late, in the wrong order, or not at all."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from integrations.demo.purchase import GOOD_CARD
from tests.journeys.shopper import CONFIRMATION, RECEIPT, SLOW_CARD, Shopper
from tests.journeys.signing import event_about, signed
from tests.journeys.stack import Shown, Stack
from tests.journeys.waiting import eventually

pytestmark = pytest.mark.journey

CALLBACKS = "SELECT type, state FROM payments_callback WHERE session_id = %s ORDER BY received_at"
SUCCESSES = "SELECT source FROM payments_move WHERE attempt_id = %s AND to_status = 'succeeded'"


def session_of(payment: Shown) -> str:
    return str(payment["redirect_url"]).rpartition("/")[2]


def callbacks(stack: Stack, payment: Shown) -> list[tuple[str, str]]:
    return [(row[0], row[1]) for row in stack.rows(CALLBACKS, session_of(payment))]


def paid_once(stack: Stack, shopper: Shopper, order: Shown, payment: Shown) -> None:
    """Require one move, one event of each kind, one receipt."""
    paid = shopper.until_order(order, "paid")
    assert [entry["type"] for entry in paid["timeline"]].count("paid") == 1
    assert len(stack.rows(SUCCESSES, payment["id"])) == 1
    shopper.until_mails(order, CONFIRMATION, RECEIPT)
    topics = [record.topic for record in stack.events(key=order["id"], topics=["payment.success", "order.paid"])]
    assert topics == ["payment.success", "order.paid"]


def test_the_same_callback_twice_at_once_is_received_twice_and_applied_once(stack: Stack, shopper: Shopper) -> None:
    repeated = stack.metric("payments_callbacks_total", state="repeated")
    order = shopper.buy()

    # Each, since somebody else's session may expire just then.
    with stack.faults(duplicate_callbacks=True):
        payment = shopper.pay_order(order)
        paid_once(stack, shopper, order, payment)

    eventually("the repeat", lambda: stack.metric("payments_callbacks_total", state="repeated") > repeated)
    eventually("the callback", lambda: callbacks(stack, payment) == [("session.paid", "applied")])
    paid_once(stack, shopper, order, payment)


def test_a_late_callback_finds_its_payment_settled_by_a_poll(stack: Stack, shopper: Shopper) -> None:
    order = shopper.buy()

    # As late as it takes, which no number of seconds is on every machine: told by hand.
    with stack.faults(drop_callbacks=True):
        payment = shopper.pay_order(order)
        paid_once(stack, shopper, order, payment)
    assert stack.rows(SUCCESSES, payment["id"]) == [("poll",)]

    body = event_about(stack.gateway("GET", f"/v1/sessions/{session_of(payment)}"))
    answer = stack.http.request("POST", f"{stack.web_url}/payment-callback", body=body, headers=signed(body))

    assert answer.status == 200
    eventually("the callback", lambda: callbacks(stack, payment) == [("session.paid", "applied")])
    paid_once(stack, shopper, order, payment)


def paid_in_the_wrong_order(stack: Stack) -> bool:
    """Let the gateway hold one callback back until the next has come; say whether they came the wrong way round.

    When somebody else's session expires just then, its callback may be the one that is held, or the next.
    """
    shopper = Shopper(stack)
    order = shopper.buy()
    with stack.faults(reorder=1):
        payment = shopper.pay_order(order, card=SLOW_CARD)
        paid_once(stack, shopper, order, payment)
        eventually("both callbacks", lambda: [state for _, state in callbacks(stack, payment)] == ["applied"] * 2)

    paid_once(stack, shopper, order, payment)
    assert shopper.see_payment(payment)["status"] == "succeeded"
    types = [kind for kind, _ in callbacks(stack, payment)]
    assert sorted(types) == ["session.paid", "session.processing"]
    return types == ["session.paid", "session.processing"]


def test_callbacks_in_the_wrong_order_tell_the_same_story(stack: Stack) -> None:
    assert any(paid_in_the_wrong_order(stack) for _ in range(3))


def test_without_any_callback_the_order_is_paid_by_polling(stack: Stack, shopper: Shopper) -> None:
    order = shopper.buy()

    with stack.faults(drop_callbacks=True):
        payment = shopper.pay_order(order)
        paid_once(stack, shopper, order, payment)

    assert callbacks(stack, payment) == []
    assert stack.rows(SUCCESSES, payment["id"]) == [("poll",)]


def test_a_browser_that_comes_back_before_the_callback_sees_what_the_gateway_says(
    stack: Stack, shopper: Shopper
) -> None:
    order = shopper.buy()

    with stack.faults(drop_callbacks=True):
        payment = shopper.pay_order(order)
        # A gateway that does not answer in time leaves it as it was.
        eventually("the gateway's word", lambda: shopper.see_payment(payment)["status"] == "succeeded")
        paid_once(stack, shopper, order, payment)

    # On a busy machine the clock may have been quicker; see tests/ordeals/test_callbacks.py, where it never is.
    assert stack.rows(SUCCESSES, payment["id"]) in ([("reader",)], [("poll",)])


def test_fifty_callbacks_at_once_make_one_payment(stack: Stack, shopper: Shopper) -> None:
    order = shopper.buy()
    payment = shopper.start_payment(order)
    with stack.faults(drop_callbacks=True):
        shopper.pay(payment["redirect_url"], card_number=GOOD_CARD)
    body = event_about(stack.gateway("GET", f"/v1/sessions/{session_of(payment)}"))
    headers = signed(body)

    def report(_: int) -> tuple[int, bytes]:
        answer = stack.http.request("POST", f"{stack.web_url}/payment-callback", body=body, headers=headers)
        return answer.status, answer.data

    with ThreadPoolExecutor(50) as gateways:
        answers = list(gateways.map(report, range(50)))

    assert answers == [(200, b'{"received":true}')] * 50
    paid_once(stack, shopper, order, payment)
    assert callbacks(stack, payment) == [("session.paid", "applied")]
    assert len(stack.events(key=order["id"], topics=["payment.success"])) == 1


def test_a_gateway_that_fails_makes_one_session_in_the_end(stack: Stack, shopper: Shopper) -> None:
    order = shopper.buy()
    body = {"order_id": order["id"], "return_url": f"{shopper.base_url}/docs"}

    with stack.faults(fail_requests=True):
        refused = shopper.ask("POST", "/payments", body, key="again-and-again")
    # While it failed others may have learned so, too: nobody is sent there until it has answered one of them.
    again = shopper.insist("/payments", body, key="again-and-again")

    assert (refused.status, refused.body["code"]) == (503, "gateway_unavailable")
    assert int(refused.headers["Retry-After"]) > 0
    assert again.status == 200
    assert again.body["id"] == refused.body["payment_id"]
    assert len(stack.sessions(order["number"])) == 1
    shopper.pay(again.body["redirect_url"], card_number=GOOD_CARD)
    paid_once(stack, shopper, order, again.body)


def test_a_gateway_that_timed_out_after_doing_it_is_asked_again_and_makes_no_second_session(
    stack: Stack, shopper: Shopper
) -> None:
    order = shopper.buy()

    # Each, since the clock may close somebody else's session just then.
    with stack.faults(timeout_after_doing=True):
        refused = shopper.ask(
            "POST", "/payments", {"order_id": order["id"], "return_url": f"{shopper.base_url}/docs"}, key="once"
        )
    payment = {"id": refused.body["payment_id"]}

    assert (refused.status, refused.body["code"]) == (503, "gateway_unavailable")
    shopper.until_payment(payment, "pending")
    moves = "SELECT to_status FROM payments_move WHERE attempt_id = %s ORDER BY id"
    assert stack.rows(moves, payment["id"]) == [("created",), ("unknown",), ("pending",)]
    (session,) = stack.sessions(order["number"])
    shopper.pay(session["url"], card_number=GOOD_CARD)
    paid_once(stack, shopper, order, payment)
    assert len(stack.sessions(order["number"])) == 1


def test_money_for_a_cancelled_order_is_due_back(stack: Stack, shopper: Shopper) -> None:
    order = shopper.buy()
    payment = shopper.start_payment(order)
    shopper.call("POST", f"/orders/{order['id']}/cancel", {})
    shopper.until_payment(payment, "cancelled")

    with stack.faults(pay_after_close=True):
        shopper.pay(payment["redirect_url"], card_number=GOOD_CARD)
        shopper.until_payment(payment, "succeeded")

    (due,) = eventually("the refund to be due", lambda: stack.events(key=order["id"], topics=["order.refund_due"]))
    assert json.loads(due.value)["amount"] == order["totals"]["total"]
    seen = shopper.see_order(order)
    assert seen["status"] == "cancelled"
    assert [entry["type"] for entry in seen["timeline"]].count("refund_due") == 1
