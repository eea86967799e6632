"""The fake gateway, in the place of the shop's own."""

from datetime import datetime

import pytest
from pytest_django import Settings

from orders.dto import OrderView
from shop.kernel.auth.dto import Caller
from tests.orders.factories import placed
from tests.payments.fakes import FakeGateway, only_gateway


@pytest.fixture(autouse=True)
def gateway(settings: Settings) -> FakeGateway:
    """The shop's only gateway, as new."""
    return only_gateway(settings)


@pytest.fixture
def order(shopper: Caller, now: datetime) -> OrderView:
    """An order that waits for its money."""
    return placed(caller=shopper, now=now)
