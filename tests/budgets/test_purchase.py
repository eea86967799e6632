"""What every step of a purchase may ask of the database: the same for one line and for thirty (DESIGN 6)."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import pytest
from pytest_django import Settings
from rest_framework.test import APIClient

from checkout.services import seed_rates
from integrations.kafka.delivery import deliver
from integrations.kafka.envelope import of_log
from integrations.kafka.groups import group, listeners
from notifications import tasks as mails
from payments import tasks
from payments.models import Callback
from payments.services.gateways import gateway_named
from shop.kernel.clock import utc_now
from shop.kernel.ids import new_id
from shop.kernel.outbox import log
from tests.cart.factories import on_sale
from tests.payments.factories import SIGNED, callback_body
from tests.payments.fakes import FakeGateway

pytestmark = pytest.mark.django_db(transaction=True)

Counting = Callable[[], AbstractContextManager[list[str]]]
Spent = dict[str, int]

CALLS = {
    "change the cart": 4,
    "read the cart": 2,
    "checkout": 7,
    "order": 6,
    # Four, and two after the gateway's answer; whose token it is, is looked up among the four.
    "payment": 4 + 2,
    "callback": 2,
    "settle": 7,
}
CONSUME_ONE_EVENT = 4
# Claiming an Idempotency-Key, and keeping the answer.
IDEMPOTENCY_KEY = 2
SEND_ONE_MAIL = 6

ADDRESS = {"name": "Ada Byron", "line1": "Mole 1", "city": "Kiel", "postal_code": "24103", "country": "DE"}
WISH = {"email": "ada@example.com", "shipping_address": ADDRESS, "shipping_method": "standard"}


@pytest.fixture
def gateway(settings: Settings) -> FakeGateway:
    settings.GATEWAYS, settings.DEFAULT_GATEWAY = {"fake": "tests.payments.fakes.FakeGateway"}, "fake"
    settings.PAYMENT_RETURN_ORIGINS = ["https://shop.example.com"]
    fake = gateway_named("fake")
    assert isinstance(fake, FakeGateway)
    fake.forget()
    return fake


@pytest.fixture
def purchase(gateway: FakeGateway, statements: Counting) -> "Callable[..., Purchase]":
    seed_rates()

    def begin(*, lines: int, keyed: bool = False) -> Purchase:
        skus = [f"SKU-{number}" for number in range(lines)]
        for sku in skus:
            on_sale(sku, tax_class="reduced" if sku.endswith("1") else "standard")
        return Purchase(skus, gateway, statements, keyed=keyed)

    return begin


class Purchase:
    """One guest buys one unit of everything, from cart to receipt; `spent` is what each step asked the database."""

    def __init__(self, skus: list[str], gateway: FakeGateway, statements: Counting, *, keyed: bool) -> None:
        self.spent: Spent = {}
        self._gateway, self._statements, self._keyed = gateway, statements, keyed
        self._client = APIClient()
        self._client.credentials(HTTP_AUTHORIZATION=f"Bearer {self._client.post('/auth/guest').json()['access']}")
        *first, self._last = skus
        for sku in first:
            self._post("/cart/me/items", {"sku": sku, "quantity": 1})

    def shop(self) -> Spent:
        """Walk the steps a shopper walks, then let the shop do the rest."""
        self._counted("change the cart", lambda: self._post("/cart/me/items", {"sku": self._last, "quantity": 1}))
        self._counted("read the cart", lambda: self._client.get("/cart/me"))
        offer = self._counted("checkout", lambda: self._post("/checkout", WISH)).json()
        agreed = {"checkout_id": offer["id"], "quote_hash": offer["quote_hash"]}
        order = self._counted("order", lambda: self._post("/orders", agreed)).json()
        asked = {"order_id": order["id"], "return_url": "https://shop.example.com/thanks"}
        self._counted("payment", lambda: self._post("/payments", asked))
        session = self._gateway.only_session()
        self._gateway.pay(session)
        self._counted("callback", lambda: self._report(session))
        callback_id = str(Callback.objects.get().id)
        self._counted("settle", lambda: tasks.settle_callback(callback_id=callback_id))
        assert self._client.get(f"/orders/{order['id']}").json()["status"] == "pending_payment"
        self._consume_everything()
        assert self._client.get(f"/orders/{order['id']}").json()["status"] == "paid"
        return self.spent

    def _consume_everything(self) -> None:
        """Hand every event to everybody who listens, one at a time, until no more are told."""
        heard: set[Any] = set()
        while unheard := [one for part in log.chunks(log.Selection(), size=100) for one in part if one.id not in heard]:
            for told in unheard:
                heard.add(told.id)
                for name, _ in (pair for pair in listeners() if pair[1] == told.type):
                    hear = partial(deliver, group=group(name), events=[of_log(told)], now=utc_now())
                    self._counted(f"{name} consume {told.type}", hear)

    def _report(self, session: str) -> Any:
        headers: dict[str, Any] = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in SIGNED.items()}
        body = callback_body(session)
        return APIClient().post("/payment-callback", body, content_type="application/json", **headers)

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        key: dict[str, Any] = {"HTTP_IDEMPOTENCY_KEY": str(new_id())} if self._keyed else {}
        answer = self._client.post(path, body, format="json", **key)
        assert answer.status_code < 300, answer.content
        return answer

    def _counted(self, step: str, do: Callable[[], Any]) -> Any:
        with self._statements() as counted:
            answer = do()
        # Of several events of one type, the dearest.
        self.spent[step] = max(len(counted), self.spent.get(step, 0))
        return answer


@pytest.mark.parametrize("lines", [1, 30])
def test_every_step_stays_within_its_budget(purchase: Callable[..., Purchase], lines: int) -> None:
    spent = purchase(lines=lines).shop()

    budgets = {step: CALLS.get(step, CONSUME_ONE_EVENT) for step in spent}
    assert {step: spent[step] for step in spent if spent[step] > budgets[step]} == {}
    assert CALLS.keys() <= spent.keys()


def test_thirty_lines_cost_what_one_costs(purchase: Callable[..., Purchase], gateway: FakeGateway) -> None:
    one = purchase(lines=1).shop()
    gateway.forget()
    Callback.objects.all().delete()

    thirty = purchase(lines=30).shop()

    assert thirty == one


def test_an_idempotency_key_costs_two_more(purchase: Callable[..., Purchase], gateway: FakeGateway) -> None:
    without = purchase(lines=1).shop()
    gateway.forget()
    Callback.objects.all().delete()

    with_keys = purchase(lines=1, keyed=True).shop()

    dearer = {step: with_keys[step] - without[step] for step in with_keys if with_keys[step] != without[step]}
    assert dearer == dict.fromkeys(("change the cart", "checkout", "order", "payment"), IDEMPOTENCY_KEY)


def test_two_mails_cost_six_statements_each(purchase: Callable[..., Purchase], statements: Counting) -> None:
    purchase(lines=3).shop()

    with statements() as counted:
        mails.send_mails()

    # Around them: what killed senders left, what is due, and that nothing more is.
    assert len(counted) == 3 + 2 * SEND_ONE_MAIL
