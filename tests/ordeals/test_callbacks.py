"""Callbacks over HTTP, through the real web server, worker, relay and consumers."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from integrations.demo.frontend import Answer
from integrations.demo.purchase import GOOD_CARD
from tests.journeys.shopper import CONFIRMATION, RECEIPT, Shopper
from tests.journeys.signing import event_about
from tests.journeys.stack import Stack
from tests.journeys.waiting import eventually
from tests.ordeals.gateway import SUCCESSES, Message, Paid, paid_in_secret

pytestmark = pytest.mark.journey

RECEIVED = (200, b'{"received":true}')


@pytest.fixture
def paid(shopper: Shopper) -> Paid:
    """A payment the shop has not heard of."""
    return paid_in_secret(shopper)


def test_the_same_event_100_times_in_parallel_is_one_move_one_posting_one_event_one_mail(
    stack: Stack, shopper: Shopper, paid: Paid
) -> None:
    with ThreadPoolExecutor(100) as gateways:
        answers = list(gateways.map(lambda _: paid.message.send(), range(100)))

    assert answers == [RECEIVED] * 100
    seen = shopper.until_order(paid.order, "paid")
    shopper.until_mails(paid.order, CONFIRMATION, RECEIPT)
    assert paid.moves() == ["callback"]
    captures = "SELECT kind, amount FROM payments_posting WHERE attempt_id = %s AND kind = 'capture'"
    assert stack.rows(captures, paid.payment["id"]) == [("capture", paid.order["totals"]["total"]["amount"])]
    events = stack.events(key=paid.order["id"], topics=["payment.success", "order.paid"])
    assert [record.topic for record in events] == ["payment.success", "order.paid"]
    assert [entry["type"] for entry in seen["timeline"]].count("paid") == 1
    assert paid.message.stored() == ("applied", 1)


def test_failed_after_succeeded_stays_succeeded(stack: Stack, shopper: Shopper, paid: Paid) -> None:
    session = stack.gateway("GET", f"/v1/sessions/{paid.payment['redirect_url'].rpartition('/')[2]}")
    failed = Message(stack, event_about({**session, "status": "failed"}, type="session.failed"))
    paid.message.send()
    shopper.until_order(paid.order, "paid")

    assert failed.send() == RECEIVED

    eventually("it to be processed", lambda: failed.stored() == ("applied", 1))
    assert shopper.see_payment(paid.payment)["status"] == "succeeded"
    assert shopper.see_order(paid.order)["status"] == "paid"
    assert paid.moves() == ["callback"]


def test_a_callback_before_our_own_commit_of_the_session_id_is_stored_and_applied(
    stack: Stack, shopper: Shopper
) -> None:
    order = shopper.buy()
    body = {"order_id": order["id"], "return_url": f"{shopper.base_url}/docs"}

    def refused_in_the_middle() -> Answer | None:
        answer = shopper.ask("POST", "/payments", body)
        # A gateway that had not begun when the shop gave up never does.
        return answer if stack.sessions(order["number"]) else None

    with stack.faults(timeout_after_doing=True, drop_callbacks=True):
        refused = eventually("the gateway to make a session", refused_in_the_middle)
        (session,) = stack.sessions(order["number"])
        shopper.pay(session["url"], card_number=GOOD_CARD)
    payment_id = refused.body["payment_id"]
    assert refused.status == 503
    known = "SELECT status, session_id FROM payments_attempt WHERE id = %s"
    assert stack.rows(known, payment_id) == [("unknown", "")]

    answer = Message(stack, event_about(session)).send()

    assert answer == RECEIVED
    shopper.until_order(order, "paid")
    assert stack.rows(known, payment_id) == [("succeeded", session["id"])]
    assert stack.rows(SUCCESSES, payment_id) == [("callback",)]
    assert len(stack.sessions(order["number"])) == 1


def test_a_callback_about_an_unknown_payment_is_received_parked_and_counted_for_the_alert(stack: Stack) -> None:
    unknown = Message(stack, event_about({"id": "sess_nobody_knows"}))

    answer = unknown.send()

    assert answer == RECEIVED
    eventually("it to be parked", lambda: (unknown.stored() or ("",))[0] == "parked")
    # `CallbacksParked` asks for this figure; see deploy/prometheus/tests.
    eventually("the figure", lambda: stack.metric("payments_stuck", of="relay", what="parked") >= 1)
    stack.rows("DELETE FROM payments_callback WHERE event_id = %s RETURNING 1", unknown.headers["webhook-id"])


def test_a_fetch_that_fails_is_repeated_and_cancels_nothing(stack: Stack, shopper: Shopper, paid: Paid) -> None:
    with stack.faults(fail_requests=True):
        assert paid.message.send() == RECEIVED
        eventually("two tries", lambda: (paid.message.stored() or ("", 0))[1] >= 2)
        state, _ = paid.message.stored() or ("", 0)
        status = shopper.stored_status(paid.payment)

    assert (state, status) == ("received", "pending")
    shopper.until_order(paid.order, "paid")
    assert paid.moves() == ["callback"]


def test_a_browser_that_returns_without_a_callback_pays_nothing_by_that_alone(stack: Stack, shopper: Shopper) -> None:
    order = shopper.buy()
    payment = shopper.start_payment(order)

    seen = shopper.see_payment(payment)

    assert seen["status"] == "pending"
    assert shopper.see_order(order)["status"] == "pending_payment"
    assert stack.rows(SUCCESSES, payment["id"]) == []


def test_a_browser_that_returns_without_a_callback_has_the_status_fetched(shopper: Shopper, paid: Paid) -> None:
    # A gateway that does not answer in time leaves it as it was.
    eventually("the gateway's word", lambda: shopper.see_payment(paid.payment)["status"] == "succeeded")

    assert paid.moves() == ["reader"]
    assert paid.message.stored() is None
