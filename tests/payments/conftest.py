"""The fake gateway, in the place of the shop's own."""

from datetime import datetime

import pytest
from pytest_django import Settings

from orders.dto import OrderView
from payments.services.gateways import gateway_named
from shop.kernel.auth.dto import Caller
from tests.orders.factories import placed
from tests.payments.fakes import FakeGateway

ORIGIN = "https://shop.example.com"


@pytest.fixture(autouse=True)
def gateway(settings: Settings) -> FakeGateway:
    """The shop's only gateway, as new."""
    settings.GATEWAYS = {"fake": "tests.payments.fakes.FakeGateway"}
    settings.DEFAULT_GATEWAY = "fake"
    settings.PAYMENT_RETURN_ORIGINS = [ORIGIN]
    settings.PAYMENT_LIVE_MODE = False
    fake = gateway_named("fake")
    assert isinstance(fake, FakeGateway)
    fake.forget()
    return fake


@pytest.fixture
def order(shopper: Caller, now: datetime) -> OrderView:
    """An order that waits for its money."""
    return placed(caller=shopper, now=now)
