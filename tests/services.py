"""A pytest plugin: the test run's own PostgreSQL, Redis and Kafka-protocol broker.

They start before Django reads its settings and stop after the last test. With xdist the workers share PostgreSQL
(a database each) and Redis (a number each); every worker has a broker of its own, since topics cannot be told apart.
Workers share a broker that is given by address (`make test-kafka`): what they send there stays, so tests of events look
at keys and groups of their own.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from integrations.embedded.services import embedded_services

# In the environment of a test run whose broker is its own.
RUN_HAS_EMBEDDED_KAFKA = "TESTS_OWN_KAFKA"
_running = ExitStack()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests() -> Iterator[None]:
    """Start what the environment does not name, before pytest-django imports the settings."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    if worker:
        os.environ["REDIS_URL"] = f"{os.environ['REDIS_URL'].rsplit('/', 1)[0]}/{int(worker.removeprefix('gw')) + 1}"
        if RUN_HAS_EMBEDDED_KAFKA in os.environ:
            del os.environ["KAFKA_BOOTSTRAP_SERVERS"]
    elif "KAFKA_BOOTSTRAP_SERVERS" not in os.environ:
        os.environ[RUN_HAS_EMBEDDED_KAFKA] = "1"
    state = Path(_running.enter_context(tempfile.TemporaryDirectory(prefix="shop-tests-", ignore_cleanup_errors=True)))
    # PostgreSQL refuses to run as root and becomes another user, who must be able to pass through.
    state.chmod(0o711)
    os.environ["SHOP_STATE_DIR"] = str(state)
    addresses = _running.enter_context(embedded_services(state / "services", durable=False))
    os.environ.update(addresses.as_environment())
    try:
        yield
    except BaseException:
        _running.close()
        raise


def pytest_unconfigure() -> None:
    """Stop them, in the order opposite to their start."""
    _running.close()
