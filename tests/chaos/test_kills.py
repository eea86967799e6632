"""kill -9 of every process in the middle of purchases: all end paid or expired, and everything adds up."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.chaos.accounts import at_rest, everything_was_told_once, money_adds_up, no_mail_went_twice, stock_adds_up
from tests.chaos.patience import PatientShopper
from tests.chaos.processes import child_of, kill, pid_of
from tests.journeys.stack import Stack
from tests.journeys.waiting import eventually

pytestmark = pytest.mark.chaos

SKU = "PAN-CRISPBREAD"
SHOPPERS = 50
WINDOW_SECONDS = 45
SETTINGS = {
    "PAYMENT_WINDOW_SECONDS": str(WINDOW_SECONDS),
    "PAYMENT_POLL_DELAYS_SECONDS": "3,3",
    "PAYMENT_POLL_QUIET_SECONDS": "1",
    "PAYMENT_UNKNOWN_DELAYS_SECONDS": ",".join(["3"] * 40),
    "CALLBACK_RETRY_DELAYS_SECONDS": ",".join(["2"] * 40),
    "GATEWAY_CIRCUIT_PAUSE_SECONDS": "1",
    "CLOCK_INTERVAL_SECONDS": "1",
}
# A name is the process itself; `of` one that it has forked.
VICTIMS = [
    "of web", "web", "gateway", "relay", "consumers", "of worker", "worker", "clock", "redis", "postgres", "kafka",
]  # fmt: skip
BACK_SECONDS = 60.0


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A stack of its own."""
    with Stack(**SETTINGS) as running:
        yield running


def test_fifty_purchases_survive_the_death_of_every_process(stack: Stack) -> None:
    ((at_first, _held),) = stack.rows("SELECT on_hand, held FROM inventory_stock WHERE sku = %s", SKU)
    shoppers = [PatientShopper(stack, sku=SKU) for _ in range(SHOPPERS)]

    with ThreadPoolExecutor(SHOPPERS) as crowd:
        ends: list[Future[str]] = []
        for place, victim in enumerate(VICTIMS):
            group = shoppers[place :: len(VICTIMS)]
            # The last of each group walks away from the gateway's page.
            ends += [crowd.submit(one.go, pays=one is not group[-1]) for one in group]
            _wait_for_the_middle(group)
            _kill_and_wait(stack, victim)
        statuses = Counter(end.result() for end in ends)

    try:
        assert sum(statuses.values()) == SHOPPERS
        assert statuses["expired"] >= len(VICTIMS)
        assert stack.one("SELECT count(*) FROM orders_order") == SHOPPERS
        at_rest(stack, seconds=60)
        stock_adds_up(stack, sku=SKU, at_first=at_first)
        money_adds_up(stack)
        everything_was_told_once(stack)
        no_mail_went_twice(stack)
    except BaseException as error:
        error.add_note(stack.tails())
        raise


def _wait_for_the_middle(shoppers: list[PatientShopper]) -> None:
    eventually("somebody to be in the middle", lambda: any(shopper.ordered for shopper in shoppers))


def _kill_and_wait(stack: Stack, victim: str) -> None:
    """Kill it, and return once another has taken its place."""
    name = victim.removeprefix("of ")
    parent = eventually(name, lambda: pid_of(name, supervisor=stack.pid))
    killed = parent if victim == name else child_of(parent)
    kill(killed)

    def replaced() -> bool:
        if victim != name:
            return child_of(parent) != killed
        return pid_of(name, supervisor=stack.pid) not in {None, killed}

    eventually(f"another {victim}", replaced, seconds=BACK_SECONDS)
