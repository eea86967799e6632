"""Four processes die at once in the middle of eight purchases. `tests/chaos` does it to all of them, and longer."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.chaos.patience import PatientShopper
from tests.chaos.processes import child_of, kill, pid_of
from tests.journeys.stack import Stack
from tests.journeys.waiting import eventually

pytestmark = pytest.mark.journey


def test_purchases_survive_kill_9(stack: Stack) -> None:
    shoppers = [PatientShopper(stack, sku="PAN-CRISPBREAD") for _ in range(8)]

    with ThreadPoolExecutor(8) as crowd:
        ends = [crowd.submit(shopper.go, pays=True) for shopper in shoppers]
        eventually("somebody to be in the middle", lambda: any(shopper.ordered for shopper in shoppers))
        kill(child_of(_pid(stack, "web")))
        for name in ("relay", "consumers", "worker"):
            kill(_pid(stack, name))
        statuses = {end.result() for end in ends}

    assert statuses == {"paid"}
    told = "SELECT count(*) FROM event_log WHERE type = 'order.paid.v1' AND key = %s"
    assert {stack.one(told, shopper.ordered["id"]) for shopper in shoppers if shopper.ordered} == {1}
    for shopper in shoppers:
        assert shopper.ordered is not None
        assert len({mail["Message-ID"] for mail in stack.mails(shopper.ordered["number"])}) <= 2


def _pid(stack: Stack, name: str) -> int:
    pid = pid_of(name, supervisor=stack.pid)
    assert pid is not None
    return pid
