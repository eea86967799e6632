"""An order to write about, and the mails that were sent."""

from datetime import datetime

import pytest
from pytest_django.fixtures import Settings

from orders.dto import OrderView
from shop.kernel.auth.dto import Caller
from tests.notifications.factories import MailServer
from tests.orders.factories import placed


@pytest.fixture
def order(db: None, shopper: Caller, now: datetime) -> OrderView:
    """An order that waits for its money; its shopper reads German."""
    return placed(caller=shopper, now=now)


@pytest.fixture(autouse=True)
def _a_shop_in_berlin(settings: Settings) -> None:
    settings.SHOP_TIME_ZONE = "Europe/Berlin"
    settings.FRONTEND_ORDER_URL = "https://shop.example.com/orders/{order_id}"
    settings.MAIL_RETRY_DELAYS_SECONDS = [5, 30]


@pytest.fixture
def server() -> MailServer:
    """A mail server that accepts everything until it is told otherwise."""
    return MailServer()
