"""One stack for all ordeals, whose clock saves nobody: what a test waits for is what it is about.

Its secrets are canaries: `test_canary`, which comes last, looks for them wherever something could have written them.
"""

import base64
from collections.abc import Generator, Iterator

import pytest

from tests.journeys.shopper import Shopper
from tests.journeys.stack import Stack

SECRET_OF_TODAY = "whsec_" + base64.b64encode(b"canary-webhook-secret-of-today-1").decode()
SECRET_OF_YESTERDAY = "whsec_" + base64.b64encode(b"canary-webhook-secret-of-before2").decode()
SECRET_SETTINGS = {
    "SECRET_KEY": "canary-django-secret-key-that-is-longer-than-fifty-characters-3",
    "JWT_SIGNING_KEY": "canary-jwt-signing-key-of-more-than-32-bytes-4",
    "METRICS_TOKEN": "canary-metrics-token-5",
    "SANDBOX_GATEWAY_SECRET": "canary-gateway-secret-6",
    "SANDBOX_WEBHOOK_SECRET": SECRET_OF_TODAY,
    # A rotation is under way: both are good.
    "SANDBOX_WEBHOOK_SECRETS": f"{SECRET_OF_TODAY},{SECRET_OF_YESTERDAY}",
}
SETTINGS = {
    # No poll comes to the rescue of a callback.
    "PAYMENT_POLL_DELAYS_SECONDS": "3600",
    "PAYMENT_UNKNOWN_DELAYS_SECONDS": "3600",
    # The first is longer than a call is waited for: nobody else may find the refund while its answer is still awaited.
    "PAYMENT_REFUND_UNKNOWN_DELAYS_SECONDS": "12,2,2,2,2,2",
    "CALLBACK_RETRY_DELAYS_SECONDS": ",".join(["2"] * 40),
    # Longer than a busy machine keeps the gateway from answering: what it once did not answer is asked an hour later.
    "GATEWAY_READ_TIMEOUT_SECONDS": "10",
    # Where the house hears of refunds a gateway rejects.
    "SUPPORT_EMAIL": "support@example.com",
    "CLOCK_INTERVAL_SECONDS": "1",
    # Whoever plants canaries is still let in when the last one stands.
    "JWT_ACCESS_LIFETIME_MINUTES": "120",
    # A crowd at one lock, on a busy machine.
    "DATABASE_LOCK_TIMEOUT_MS": "14000",
    **SECRET_SETTINGS,
}
_stacks: list[Stack] = []


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The shop, running."""
    with Stack(**SETTINGS) as running:
        _stacks.append(running)
        yield running
        _stacks.clear()


@pytest.fixture
def shopper(stack: Stack) -> Shopper:
    """A guest with an empty cart."""
    return Shopper(stack)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the ends of the stack's logs beside a failure."""
    report = yield
    if report.failed and _stacks and "tests/ordeals" in item.nodeid:
        report.sections.append(("stack", _stacks[0].tails()))
    return report
