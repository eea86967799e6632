"""Purchases over HTTP, their events through every consumer: each user action is told once and counted once."""

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

import checkout.services
import shop.catalog.services
from integrations.analytics.models import DailyCount
from integrations.analytics.vocabulary import FACTS, NAMES, VIEWS
from integrations.kafka.groups import group_names
from orders.models import Order
from payments.dto import SessionState
from shop.catalog.models import Article
from shop.kernel.events import UserAction
from shop.kernel.outbox.models import LoggedEvent
from shop.kernel.views import buffer
from tests.payments.fakes import FakeGateway

pytestmark = pytest.mark.django_db(transaction=True)

ADDRESS = {"name": "Ada Byron", "line1": "Mole 1", "city": "Kiel", "postal_code": "24103", "country": "DE"}
CHECKOUT = {"email": "ada@example.com", "shipping_address": ADDRESS, "shipping_method": "standard"}


class Shopper:
    """A guest with a browser."""

    def __init__(self) -> None:
        self.client = Client()
        self.client = Client(headers={"Authorization": f"Bearer {self.ask('POST', '/auth/guest')['access']}"})

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.client.generic(
            method, path, data=b"" if body is None else json.dumps(body), content_type="application/json"
        )
        assert answer.status_code < 300, answer.content
        return answer.json()

    def order(self, sku: str) -> Any:
        self.ask("POST", "/cart/me/items", {"sku": sku, "quantity": 3})
        self.ask("PATCH", f"/cart/me/items/{sku}", {"quantity": 2})
        offer = self.ask("POST", "/checkout", CHECKOUT)
        return self.ask("POST", "/orders", {"checkout_id": offer["id"]})

    def pay(self, order: Any, gateway: FakeGateway, state: SessionState) -> None:
        """Go to the gateway, come back with what it says, and look at the payment."""
        wanted = {"order_id": order["id"], "return_url": "https://shop.example.com/thanks"}
        payment = self.ask("POST", "/payments", wanted)
        gateway.become(list(gateway.sessions)[-1], state, "card_declined" * (state is SessionState.FAILED))
        self.ask("GET", f"/payments/{payment['id']}")


def counted() -> dict[str, int]:
    """Return the daily counts by name."""
    sums: Counter[str] = Counter()
    for row in DailyCount.objects.all():
        sums[row.name] += row.count
    return dict(sums)


@pytest.fixture
def sku() -> str:
    """Something the shop sells."""
    shop.catalog.services.seed()
    checkout.services.seed_rates()
    return Article.objects.order_by("sku").values_list("sku", flat=True)[0]


def test_every_action_of_a_purchase_is_counted_once(
    sku: str, gateway: FakeGateway, consumed: Callable[..., None]
) -> None:
    shopper = Shopper()
    shopper.ask("GET", "/products?search=tea")
    shopper.ask("GET", f"/products/{sku}")
    shopper.ask("GET", "/cart/me")
    paid = shopper.order(sku)
    shopper.pay(paid, gateway, SessionState.FAILED)
    shopper.pay(paid, gateway, SessionState.PAID)
    cancelled = Shopper()
    order = cancelled.order(sku)
    consumed(*group_names())
    cancelled.ask("POST", f"/orders/{order['id']}/cancel", {})
    consumed(*group_names())
    consumed(*group_names())

    assert counted() == {
        "Product Added": 2,
        "Product Removed": 2,
        "Checkout Started": 2,
        "Order Placed": 2,
        "Payment Redirected": 2,
        "Payment Failed": 1,
        "Payment Succeeded": 1,
        "Order Completed": 1,
        "Order Cancelled": 1,
    }
    assert [view.name for view, _ in buffer.take(10)] == ["Products Searched", "Product Viewed", "Cart Viewed"]


def test_counts_and_money_equal_the_tables(sku: str, gateway: FakeGateway, consumed: Callable[..., None]) -> None:
    for state in (SessionState.PAID, SessionState.FAILED, SessionState.PAID):
        shopper = Shopper()
        shopper.pay(shopper.order(sku), gateway, state)
    consumed(*group_names())

    placed, paid = Order.objects.all(), Order.objects.filter(status="paid")
    assert (placed.count(), paid.count()) == (3, 2)
    for name, orders in (("Order Placed", placed), ("Order Completed", paid)):
        row = DailyCount.objects.get(name=name)
        assert (row.count, row.amount) == (orders.count(), sum(order.total_minor for order in orders))


def test_every_action_told_is_in_the_vocabulary_and_says_nothing_of_a_person(
    sku: str, gateway: FakeGateway, consumed: Callable[..., None]
) -> None:
    shopper = Shopper()
    shopper.ask("GET", f"/products/{sku}")
    shopper.pay(shopper.order(sku), gateway, SessionState.PAID)
    consumed(*group_names())

    told = [event.payload for event in LoggedEvent.objects.filter(topic=UserAction.topic)]
    seen = [view.name for view, _ in buffer.take(100)]
    assert {action["name"] for action in told} <= FACTS
    assert set(seen) <= VIEWS
    assert FACTS.isdisjoint(VIEWS)
    assert set(counted()) <= NAMES
    for action in told:
        for personal in ("ada@example.com", "Ada Byron", "Mole 1", "Kiel", "24103"):
            assert personal not in str(action)


def test_the_request_that_placed_an_order_is_named_in_all_that_follows(
    sku: str, gateway: FakeGateway, consumed: Callable[..., None]
) -> None:
    shopper = Shopper()
    shopper.client.defaults["HTTP_X_REQUEST_ID"] = "the-whole-way"
    shopper.order(sku)
    consumed(*group_names())

    named = {
        event.payload["name"]: event.headers["correlationid"]
        for event in LoggedEvent.objects.filter(topic=UserAction.topic)
    }
    assert named["Order Placed"] == named["Checkout Started"] == "the-whole-way"
