"""kill -9 of the process that holds an Idempotency-Key; whoever repeats the request gets it done, once.

The requests are held where they are to die by locks of the test's own: no process knows that it is being tested.
"""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
import urllib3

from integrations.demo.frontend import Answer
from tests.chaos.processes import family_of, kill, pid_of
from tests.journeys.shopper import TEA, Shopper
from tests.journeys.stack import CALL_SECONDS, Shown, Stack
from tests.journeys.waiting import eventually

pytestmark = pytest.mark.journey

KEY = "the-same-wish"
UNDER_WAY = "SELECT state FROM idempotency_key WHERE key = %s"


@pytest.fixture
def impatient(slow_stack: Stack) -> Shopper:
    """Somebody of the other shop."""
    return Shopper(slow_stack)


@pytest.fixture
def key(impatient: Shopper) -> str:
    """A key nobody has used."""
    return f"{KEY}-{impatient.id}"


@contextmanager
def locked(stack: Stack, table: str, condition: str, value: str) -> Iterator[None]:
    """Hold these rows; whoever wants to write them waits."""
    with psycopg.connect(stack.addresses["DATABASE_URL"]) as connection:
        held = connection.execute(f"SELECT 1 FROM {table} WHERE {condition} FOR UPDATE", [value]).fetchall()
        assert len(held) == 1
        yield
        connection.rollback()


def waits_for(stack: Stack, words: str) -> bool:
    """Say whether a statement with these words waits for a lock."""
    waiting = "SELECT query FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    return any(words in query for (query,) in stack.rows(waiting))


def kill_web(stack: Stack) -> None:
    """Kill every process of the web server but the one that starts them anew."""
    web = pid_of("web", supervisor=stack.pid)
    assert web is not None
    for process in family_of(web)[1:]:
        kill(process)


def lost(asked: Future[Answer]) -> None:
    """Require that the request was never answered."""
    with pytest.raises(urllib3.exceptions.HTTPError):
        asked.result(timeout=CALL_SECONDS)


def until_answered(shopper: Shopper, path: str, body: Shown, *, key: str) -> list[Answer]:
    """Repeat the request until it is answered with success; return all answers."""
    answers: list[Answer] = []

    def succeeded() -> bool:
        try:
            answers.append(shopper.ask("POST", path, body, key=key))
        except urllib3.exceptions.HTTPError:
            # Another process is being started in its place.
            return False
        return answers[-1].status < 300

    eventually("the repeat to be done", succeeded)
    return answers


def refused_meanwhile(answers: list[Answer]) -> set[tuple[int, str]]:
    return {(answer.status, answer.body["code"]) for answer in answers[:-1]}


def test_killed_with_its_work_done_but_not_committed_a_cart_is_filled_once(
    slow_stack: Stack, impatient: Shopper, key: str
) -> None:
    impatient.put("PAN-CRISPBREAD")
    wish = {"sku": TEA, "quantity": 1}

    with ThreadPoolExecutor(1) as aside:
        with locked(slow_stack, "cart_cart", "id = %s::uuid", impatient.id):
            asked = aside.submit(impatient.ask, "POST", "/cart/me/items", wish, key=key)
            eventually("the key to be claimed", lambda: slow_stack.rows(UNDER_WAY, key) == [("in_flight",)])
            answer_held = locked(slow_stack, "idempotency_key", "key = %s", key)
            answer_held.__enter__()
        # The cart is changed, and only the answer waits to be written.
        eventually("the answer to wait", lambda: waits_for(slow_stack, "UPDATE idempotency_key SET state = 'done'"))
        kill_web(slow_stack)
        lost(asked)
        answer_held.__exit__(None, None, None)

    assert slow_stack.rows(UNDER_WAY, key) == [("in_flight",)]
    answers = until_answered(impatient, "/cart/me/items", wish, key=key)
    assert refused_meanwhile(answers) <= {(409, "request_in_flight")}
    assert {line["sku"]: line["quantity"] for line in answers[-1].body["lines"]} == {"PAN-CRISPBREAD": 1, TEA: 1}
    replayed = impatient.ask("POST", "/cart/me/items", wish, key=key)
    assert (replayed.headers["Idempotent-Replayed"], replayed.body) == ("true", answers[-1].body)
    assert {line["sku"]: line["quantity"] for line in impatient.call("GET", "/cart/me")["lines"]}[TEA] == 1


def test_killed_after_the_key_and_before_its_work_an_order_is_placed_once(
    slow_stack: Stack, impatient: Shopper, key: str
) -> None:
    impatient.put(TEA)
    checkout = impatient.check_out()
    wish = {"checkout_id": checkout["id"], "quote_hash": checkout["quote_hash"]}

    with ThreadPoolExecutor(1) as aside:
        with locked(slow_stack, "checkout_checkout", "id = %s::uuid", checkout["id"]):
            asked = aside.submit(impatient.ask, "POST", "/orders", wish, key=key)
            eventually("the order to wait", lambda: waits_for(slow_stack, "checkout_checkout"))
            kill_web(slow_stack)
            lost(asked)
        assert slow_stack.rows(UNDER_WAY, key) == [("in_flight",)]
        answers = until_answered(impatient, "/orders", wish, key=key)

    assert answers[-1].status == 201
    assert refused_meanwhile(answers) <= {(409, "request_in_flight")}
    placed = "SELECT count(*) FROM orders_order WHERE checkout_id = %s::uuid"
    assert slow_stack.one(placed, checkout["id"]) == 1
    told = "SELECT count(*) FROM event_log WHERE type = 'order.created.v1' AND key = %s::uuid"
    assert slow_stack.one(told, answers[-1].body["id"]) == 1


def test_killed_after_the_key_and_before_the_call_one_session_is_made_in_the_end(
    slow_stack: Stack, impatient: Shopper, key: str
) -> None:
    order = impatient.buy()
    wish = {"order_id": order["id"], "return_url": f"{slow_stack.web_url}/docs"}
    payable = "SELECT 1 FROM payments_payable WHERE order_id = %s"
    eventually("the payable", lambda: slow_stack.rows(payable, order["id"]))

    with ThreadPoolExecutor(1) as aside:
        with locked(slow_stack, "payments_payable", "order_id = %s::uuid", order["id"]):
            asked = aside.submit(impatient.ask, "POST", "/payments", wish, key=key)
            eventually("the attempt to wait", lambda: waits_for(slow_stack, "payments_payable"))
            kill_web(slow_stack)
            lost(asked)
        assert slow_stack.rows(UNDER_WAY, key) == [("in_flight",)]
        assert attempts(slow_stack, order) == []
        assert slow_stack.sessions(order["number"]) == []
        answers = until_answered(impatient, "/payments", wish, key=key)

    assert refused_meanwhile(answers) <= {(409, "request_in_flight")}
    assert attempts(slow_stack, order) == ["pending"]
    (session,) = slow_stack.sessions(order["number"])
    assert answers[-1].body["redirect_url"] == session["url"]


@pytest.mark.parametrize("fault", ["before the gateway did it", "after the gateway did it"])
def test_killed_while_it_asks_the_gateway_one_session_is_made_in_the_end(
    fault: str, slow_stack: Stack, impatient: Shopper, key: str
) -> None:
    order = impatient.buy()
    wish = {"order_id": order["id"], "return_url": f"{slow_stack.web_url}/docs"}
    hangs: dict[str, Any] = {"slow_seconds": 60} if fault.startswith("before") else {"timeout_after_doing": True}

    with slow_stack.faults(**hangs), ThreadPoolExecutor(1) as aside:
        asked = aside.submit(impatient.ask, "POST", "/payments", wish, key=key)
        eventually("the attempt", lambda: attempts(slow_stack, order) == ["created"])
        if fault.startswith("after"):
            eventually("the gateway to do it", lambda: len(slow_stack.sessions(order["number"])) == 1)
        kill_web(slow_stack)
        lost(asked)

    answers = until_answered(impatient, "/payments", wish, key=key)

    assert refused_meanwhile(answers) <= {(409, "request_in_flight"), (503, "gateway_unavailable")}
    assert answers[-1].body["status"] == "pending"
    assert attempts(slow_stack, order) == ["pending"]
    (session,) = slow_stack.sessions(order["number"])
    assert answers[-1].body["redirect_url"] == session["url"]


def attempts(stack: Stack, order: Shown) -> list[str]:
    return [status for (status,) in stack.rows("SELECT status FROM payments_attempt WHERE order_id = %s", order["id"])]
