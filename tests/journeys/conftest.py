"""One stack for all journeys, with short schedules, and the ends of its logs when something fails."""

from collections.abc import Generator, Iterator

import pytest

from tests.journeys.shopper import Shopper
from tests.journeys.stack import Shown, Stack

# Seconds. The window is long enough for every journey to pay on a busy machine, and short enough to see it pass.
PAYMENT_WINDOW_SECONDS = 90
FIRST_POLL_SECONDS = 5
SETTINGS = {
    "PAYMENT_WINDOW_SECONDS": str(PAYMENT_WINDOW_SECONDS),
    "PAYMENT_POLL_DELAYS_SECONDS": f"{FIRST_POLL_SECONDS},2",
    "PAYMENT_POLL_QUIET_SECONDS": "1",
    "PAYMENT_UNKNOWN_DELAYS_SECONDS": "2,2,2,2,2,2",
    # The first is longer than a call is waited for: nobody else may find the refund while its answer is still awaited.
    "PAYMENT_REFUND_UNKNOWN_DELAYS_SECONDS": "12,2,2,2,2,2",
    "PAYMENT_REFUND_POLL_DELAYS_SECONDS": "2",
    "PAYMENT_REFUND_LATE_LOOK_DELAYS_SECONDS": "2,5,10",
    "RECONCILIATION_QUIET_SECONDS": "1",
    "GATEWAY_READ_TIMEOUT_SECONDS": "2",
    "GATEWAY_CIRCUIT_PAUSE_SECONDS": "1",
    "WEBHOOK_RETRY_DELAYS_SECONDS": "1,1,1,1,1,1",
    "WEBHOOK_CIRCUIT_PAUSES_SECONDS": "1",
    "CLOCK_INTERVAL_SECONDS": "1",
    # Longer than a busy machine takes to look at what is under way.
    "SANDBOX_PROCESSING_SECONDS": "10",
    # Who came first is here to the last.
    "JWT_ACCESS_LIFETIME_MINUTES": "120",
    # A crowd at one lock, on a busy machine.
    "DATABASE_LOCK_TIMEOUT_MS": "14000",
}
_stacks: list[Stack] = []


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The shop, running."""
    with Stack(**SETTINGS) as running:
        _stacks.append(running)
        yield running
        _stacks.remove(running)


@pytest.fixture(scope="session")
def slow_stack() -> Iterator[Stack]:
    """Another shop, in which a call may take half a minute, and so may a lock; leases are short all the same."""
    patience = {
        "GATEWAY_READ_TIMEOUT_SECONDS": "25",
        "PAYMENT_WINDOW_SECONDS": "300",
        "IDEMPOTENCY_LEASE_SECONDS": "12",
        "DATABASE_LOCK_TIMEOUT_MS": "30000",
        "DATABASE_STATEMENT_TIMEOUT_MS": "30000",
        "CLOCK_INTERVAL_SECONDS": "5",
    }
    with Stack(**SETTINGS | patience) as running:
        _stacks.append(running)
        yield running
        _stacks.remove(running)


@pytest.fixture
def shopper(stack: Stack) -> Shopper:
    """A guest with an empty cart."""
    return Shopper(stack)


@pytest.fixture(scope="session", autouse=True)
def abandoned(stack: Stack) -> tuple[Shopper, Shown, Shown]:
    """Somebody who goes to the gateway's page and never pays: begun first, looked at last."""
    absent = Shopper(stack)
    order = absent.buy("TAB-KETTLE-IRON", 2)
    return absent, order, absent.start_payment(order)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the ends of the stack's logs beside a failure."""
    report = yield
    if report.failed and _stacks and "tests/journeys" in item.nodeid:
        for number, running in enumerate(_stacks, start=1):
            report.sections.append((f"stack {number}", running.tails()))
    return report
