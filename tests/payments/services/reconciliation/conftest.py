"""An attempt to compare with the gateway, and the moment when everything has come to rest."""

from datetime import datetime, timedelta
from functools import partial

import pytest

from orders.dto import OrderView
from payments.models import Attempt
from payments.states import AttemptStatus
from shop.kernel.auth.dto import Caller
from tests.payments.factories import attempt_in
from tests.payments.fakes import FakeGateway
from tests.payments.findings import AttemptAt


@pytest.fixture
def later(now: datetime) -> datetime:
    """When everything has come to rest."""
    return now + timedelta(hours=3)


@pytest.fixture
def attempt_at(shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime) -> AttemptAt:
    """Return what makes an attempt of the order, in this status."""
    return partial(attempt_in, caller=shopper, order=order, gateway=gateway, now=now)


@pytest.fixture
def paid(attempt_at: AttemptAt) -> Attempt:
    """An attempt that brought the money."""
    return attempt_at(AttemptStatus.SUCCEEDED)
