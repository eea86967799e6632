"""The fake gateway, in the place of the shop's own."""

from datetime import datetime

import pytest
from pytest_django import Settings

from orders.dto import OrderView
from payments.models import Attempt
from payments.states import AttemptStatus
from shop.kernel.auth.dto import Caller
from tests.orders.factories import placed
from tests.payments.factories import attempt_in, started
from tests.payments.fakes import FakeGateway, only_gateway


@pytest.fixture(autouse=True)
def gateway(settings: Settings) -> FakeGateway:
    """The shop's only gateway, as new."""
    return only_gateway(settings)


@pytest.fixture
def order(shopper: Caller, now: datetime) -> OrderView:
    """An order that waits for its money."""
    return placed(caller=shopper, now=now)


@pytest.fixture
def pending(shopper: Caller, order: OrderView, now: datetime) -> Attempt:
    """An attempt whose shopper is on the gateway's page."""
    return Attempt.objects.get(id=started(shopper, order, now).payment.payment_id)


@pytest.fixture
def ten_euros(shopper: Caller, now: datetime, monkeypatch: pytest.MonkeyPatch) -> OrderView:
    """An order over 10.00 EUR that waits for them."""
    monkeypatch.setattr("tests.orders.factories.PRICE", 255)
    return placed(caller=shopper, now=now)


@pytest.fixture
def paid(shopper: Caller, ten_euros: OrderView, gateway: FakeGateway, now: datetime) -> Attempt:
    """The payment that brought them; orders have not heard of it."""
    return attempt_in(AttemptStatus.SUCCEEDED, caller=shopper, order=ten_euros, gateway=gateway, now=now)
