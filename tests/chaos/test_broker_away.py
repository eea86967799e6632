"""The broker is away for three minutes: purchases go on, no event fails, and all arrive without anybody's help."""

import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from integrations.embedded.apache_kafka import Cluster, apache_kafka
from tests.chaos.accounts import at_rest, everything_was_told_once, money_adds_up
from tests.chaos.patience import PatientShopper
from tests.chaos.test_events import needs_java
from tests.journeys.stack import Stack
from tests.journeys.waiting import eventually

pytestmark = [pytest.mark.chaos, needs_java]

AWAY_SECONDS = 180.0
# The test run's own environment has what fits the embedded one.
FOR_A_REAL_BROKER = {
    "KAFKA_SESSION_TIMEOUT_MS": "6000",
    "KAFKA_TOPIC_PARTITIONS": "12",
    "KAFKA_REPUBLISH_AT_BOOT_SECONDS": "0",
}
SHOPPERS = 3
# All of it is to be mailed afterwards, too.
BETWEEN_SECONDS = 1.0
SKU = "PAN-CRISPBREAD"
_SUCCEEDED = "SELECT count(*) FROM payments_attempt WHERE status = 'succeeded'"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A real Kafka: it has the same address and all its records when it comes back."""
    with tempfile.TemporaryDirectory(prefix="shop-kafka-") as folder, apache_kafka(Path(folder)) as running:
        yield running


@pytest.fixture(scope="module")
def stack(cluster: Cluster) -> Iterator[Stack]:
    """A stack that uses it."""
    with Stack(KAFKA_BOOTSTRAP_SERVERS=cluster.bootstrap_servers, **FOR_A_REAL_BROKER) as running:
        yield running


def test_three_minutes_without_a_broker_cost_nobody_a_purchase(stack: Stack, cluster: Cluster) -> None:
    (broker,) = cluster.brokers
    assert PatientShopper(stack, sku=SKU).go(pays=True) == "paid"

    broker.stop()
    back_at = time.monotonic() + AWAY_SECONDS
    with ThreadPoolExecutor(SHOPPERS) as crowd:
        bought = sum(crowd.map(lambda _: _buy_until(back_at, stack), range(SHOPPERS)))
    eventually("all payments to succeed meanwhile", lambda: stack.one(_SUCCEEDED) == bought + 1)
    paid_meanwhile = stack.one("SELECT count(*) FROM orders_order WHERE status = 'paid'")
    failed = stack.one("SELECT count(*) FROM outbox_pending WHERE state = 'failed' OR attempts > 0")
    broker.start()

    try:
        assert bought >= SHOPPERS
        assert (paid_meanwhile, failed) == (1, 0)
        at_rest(stack, seconds=180)
        assert stack.one("SELECT count(*) FROM orders_order WHERE status = 'paid'") == bought + 1
        money_adds_up(stack)
        everything_was_told_once(stack)
    except BaseException as error:
        error.add_note(stack.tails())
        raise


def _buy_until(deadline: float, stack: Stack) -> int:
    bought, pace = 0, threading.Event()
    while time.monotonic() < deadline:
        PatientShopper(stack, sku=SKU).shop(pays=True)
        bought += 1
        pace.wait(BETWEEN_SECONDS)
    return bought
