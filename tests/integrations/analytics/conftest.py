"""Carrying events from the log to consumers as Kafka would, and a shop with a gateway in memory."""

from collections.abc import Callable

import pytest
from pytest_django import Settings

from integrations.kafka.delivery import deliver
from integrations.kafka.envelope import of_log
from integrations.kafka.groups import group
from shop.kernel.clock import utc_now
from shop.kernel.outbox.log import Selection, chunks
from shop.kernel.views import buffer
from tests.payments.fakes import FakeGateway, only_gateway


@pytest.fixture
def gateway(settings: Settings) -> FakeGateway:
    """The shop's only gateway, as new."""
    return only_gateway(settings)


@pytest.fixture
def consumed() -> Callable[..., None]:
    """Return a function that lets groups handle everything in the log, and what that tells, until nothing is new."""

    def consume(*groups: str) -> None:
        told = -1
        while told != (told := len(everything := [told for part in chunks(Selection(), size=500) for told in part])):
            for name in groups:
                deliver(group=group(name), events=[of_log(event) for event in everything], now=utc_now())

    return consume


@pytest.fixture(autouse=True)
def _no_views_are_left_over() -> None:
    buffer.take(100_000)
