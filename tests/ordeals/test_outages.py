"""Processes that die, and servers that are away: nothing that was taken is lost, and nothing is done twice."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from time import monotonic

import psycopg
import pytest
import redis
import urllib3

from tests.chaos.processes import family_of, kill, pid_of
from tests.journeys.shopper import CONFIRMATION, RECEIPT, Shopper
from tests.journeys.stack import Stack
from tests.journeys.waiting import eventually
from tests.ordeals.gateway import Paid, paid_in_secret

pytestmark = pytest.mark.journey

AWAY_SECONDS = 20
WAITS_FOR_A_LOCK = """
SELECT count(*) FROM pg_stat_activity WHERE application_name = 'worker' AND wait_event_type = 'Lock'
"""

ROLLED_BACK = "SELECT 1 FROM payments_callback WHERE event_id = %s AND state = 'received' AND last_error <> ''"


@pytest.fixture
def paid(shopper: Shopper) -> Paid:
    """A payment the shop has not heard of. Its first mail is out: one that a kill meets half way is in doubt."""
    paid = paid_in_secret(shopper)
    shopper.until_mails(paid.order, CONFIRMATION)
    return paid


def running(stack: Stack, name: str) -> int:
    """Return the process of this name once there is one."""
    return eventually(name, lambda: pid_of(name, supervisor=stack.pid))


def kill_all(family: list[int]) -> None:
    """Kill processes at once and without a word; some are gone with their parent before it is their turn."""
    for pid in family:
        with suppress(ProcessLookupError):
            kill(pid)


@contextmanager
def away(stack: Stack, name: str) -> Iterator[None]:
    """Kill a server, and keep the supervisor from starting another for the length of the block."""
    server = running(stack, name)
    os.kill(stack.pid, signal.SIGSTOP)
    try:
        # PostgreSQL's processes would answer a moment longer than their parent lives, so they are killed as well: none
        # begins while they are counted.
        os.kill(server, signal.SIGSTOP)
        kill_all(family_of(server))
        yield
    finally:
        os.kill(stack.pid, signal.SIGCONT)


@contextmanager
def payable_locked(stack: Stack, paid: Paid) -> Iterator[None]:
    """Hold the row every settlement needs: whoever processes the callback waits in the middle of it."""
    with psycopg.connect(stack.addresses["DATABASE_URL"]) as connection:
        connection.execute("SELECT 1 FROM payments_payable WHERE order_id = %s FOR UPDATE", [paid.order["id"]])
        yield


def statuses(payments: list[Paid]) -> set[str]:
    """Return where payments stand, as far as the shop knows by itself."""
    return {paid.shopper.stored_status(paid.payment) for paid in payments}


def is_open(stack: Stack) -> bool:
    """Say whether the web server answers, and finds all that it needs."""
    try:
        return stack.http.request("GET", f"{stack.web_url}/readyz").status == 200
    except urllib3.exceptions.HTTPError:
        return False


def to_deliver(stack: Stack) -> str:
    """Return the line that says how much a replay would have to make up for."""
    plan = stack.manage("replay_events", "--all-consumers", "--yes-all-consumers")
    return next(line for line in plan.splitlines() if line.startswith("To deliver to"))


def paid_once(stack: Stack, paid: Paid) -> None:
    """Require one move by a callback, one event of each kind, one mail of each."""
    # Asked of the database: the web server may be starting again.
    status = "SELECT status FROM orders_order WHERE id = %s"
    eventually("the order to be paid", lambda: stack.one(status, paid.order["id"]) == "paid")
    paid.shopper.until_mails(paid.order, CONFIRMATION, RECEIPT)
    assert paid.moves() == ["callback"]
    told = "SELECT type FROM event_log WHERE key = %s AND type IN ('payment.success.v1', 'order.paid.v1') ORDER BY type"
    assert stack.rows(told, paid.order["id"]) == [("order.paid.v1",), ("payment.success.v1",)]


def test_a_worker_killed_between_inbox_and_processing_leaves_the_callback_to_the_next(stack: Stack, paid: Paid) -> None:
    family = family_of(running(stack, "worker"))
    for pid in family:
        os.kill(pid, signal.SIGSTOP)

    answer = paid.message.send()
    in_the_inbox = paid.message.stored()
    kill_all(family)
    # The hint dies with the worker: only the row is left.
    client = redis.Redis.from_url(stack.addresses["REDIS_URL"])
    client.flushall()
    client.close()

    assert answer[0] == 200
    assert in_the_inbox == ("received", 0)
    paid_once(stack, paid)


def test_a_worker_killed_in_the_middle_of_processing_leaves_the_callback_to_the_next(stack: Stack, paid: Paid) -> None:
    with payable_locked(stack, paid):
        assert paid.message.send()[0] == 200
        eventually("the worker to be in the middle", lambda: stack.one(WAITS_FOR_A_LOCK))
        kill_all(family_of(running(stack, "worker")))

    assert paid.message.stored() == ("received", 1)
    assert paid.shopper.stored_status(paid.payment) == "pending"
    # Its claim has to run out first.
    paid_once(stack, paid)
    assert paid.message.stored() == ("applied", 2)


def test_a_handler_rolled_back_after_the_event_id_was_stored_is_made_up_for_and_the_redelivery_received(
    stack: Stack, paid: Paid
) -> None:
    with payable_locked(stack, paid):
        assert paid.message.send()[0] == 200
        # Nobody waits for a lock for ever: the work is rolled back, the event stays.
        eventually("the roll-back", lambda: stack.rows(ROLLED_BACK, paid.message.headers["webhook-id"]))
        unpaid = paid.shopper.stored_status(paid.payment)

        redelivery = paid.message.send()

    assert unpaid == "pending"
    assert redelivery == (200, b'{"received":true}')
    paid_once(stack, paid)


def test_with_the_database_away_a_callback_is_answered_5xx_and_the_gateways_repeat_is_processed(
    stack: Stack, paid: Paid
) -> None:
    with away(stack, "postgres"):
        refusals = [paid.message.send() for _ in range(3)]

    assert [status for status, _ in refusals] == [503] * 3
    eventually("the gateway to be heard", lambda: paid.message.send()[0] == 200)
    paid_once(stack, paid)


def test_with_kafka_away_payments_succeed_and_every_event_comes_later(stack: Stack) -> None:
    several = [paid_in_secret(Shopper(stack)) for _ in range(3)]
    with away(stack, "kafka"):
        gone_at = monotonic()
        for paid in several:
            assert paid.message.send()[0] == 200
        eventually("the payments to succeed", lambda: statuses(several) == {"succeeded"})
        bought_meanwhile = paid_in_secret(Shopper(stack))
        bought_meanwhile.message.send()
        eventually("it to be away for long", lambda: monotonic() > gone_at + AWAY_SECONDS)
        unheard = [paid.shopper.see_order(paid.order)["status"] for paid in several]

    assert unheard == ["pending_payment"] * 3
    for paid in [*several, bought_meanwhile]:
        paid_once(stack, paid)
    eventually("the outbox to be empty", lambda: stack.one("SELECT count(*) FROM outbox_pending") == 0)
    # What the broker has taken may still be on its way to consumers; what is lost never gets there.
    eventually("every consumer to have heard everything", lambda: to_deliver(stack).endswith(": 0"))
    # The broker came back elsewhere: whoever uses it was started anew, the web server too, which nobody waited for yet.
    eventually("the shop to be open again", lambda: is_open(stack))
