"""Everything that asks the database something, once, in this process: for `bench.plans`."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import admin
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from checkout import tasks as checkout_tasks
from integrations.kafka import tasks as kafka_tasks
from integrations.kafka.delivery import deliver
from integrations.kafka.envelope import of_log
from integrations.kafka.groups import group, listeners
from integrations.kafka.leases import Leases
from notifications import tasks as mail_tasks
from payments import tasks as payment_tasks
from payments.models import Callback
from payments.services.gateways import gateway_named
from shop.kernel.auth.models import User
from shop.kernel.clock import utc_now
from shop.kernel.idempotency import tasks as idempotency_tasks
from shop.kernel.ids import new_id
from shop.kernel.outbox import log, queue
from tests.payments.factories import SIGNED, callback_body

Step = tuple[str, Callable[[], Any]]
ADDRESS = {"name": "Ada Bench", "line1": "Mole 1", "city": "Kiel", "postal_code": "24103", "country": "DE"}
WISH = {"email": "ada.bench@example.com", "shipping_address": ADDRESS, "shipping_method": "standard"}
LINES = 3


class Walk:
    """One purchase, and what else goes on around it."""

    def __init__(self) -> None:
        settings.GATEWAYS, settings.DEFAULT_GATEWAY = {"fake": "tests.payments.fakes.FakeGateway"}, "fake"
        settings.PAYMENT_RETURN_ORIGINS, settings.PAYMENT_LIVE_MODE = ["https://shop.example.com"], False
        settings.ALLOWED_HOSTS = ["*"]
        self.began_at = utc_now()
        self.gateway: Any = gateway_named("fake")
        self.client = APIClient()
        self.client.credentials(HTTP_AUTHORIZATION=f"Bearer {self.client.post('/auth/guest').json()['access']}")
        self.offer: dict[str, Any] = {}
        self.order: dict[str, Any] = {}

    def steps(self) -> Iterator[Step]:
        """Yield every step with its name."""
        yield from self._shopping()
        yield from self._looking()
        for told in self._told():
            for name in (name for name, type_name in listeners() if type_name == told.type):
                yield f"{name} {told.type}", lambda name=name, told=told: self._hand(name, told)
        yield from self._relaying()
        yield from self._clock()
        yield from self._supporting()

    def _shopping(self) -> Iterator[Step]:
        for number in range(LINES):
            yield "change the cart", lambda number=number: self._add(f"SKU-{number + 1}")
        yield "read the cart", lambda: self._get("/cart/me")
        yield "checkout", self._check_out
        yield "checkout again", self._check_out
        yield "order", self._place
        yield "payment", self._pay
        yield "callback", self._report
        yield "settle", lambda: payment_tasks.settle_callback(callback_id=str(self._callback()))

    def _looking(self) -> Iterator[Step]:
        shown = (
            "/products?limit=50", "/products?search=Article 4711", "/products?category=Category 7", "/products/SKU-7",
            "/orders?limit=20", f"/orders/{self.order['id']}", f"/payments?order_id={self.order['id']}",
            f"/checkout/{self.offer['id']}", "/checkout/shipping-methods?country=DE",
        )  # fmt: skip
        for path in shown:
            yield f"GET {path[:22]}", lambda path=path: self._get(path)

    def _relaying(self) -> Iterator[Step]:
        shards = list(range(64))
        yield "relay: leases", lambda: Leases().keep(busy=frozenset())
        yield "relay: read", lambda: queue.read(shards=shards, in_flight=[1, 2, 3], limit=1_000)
        waiting = queue.read(shards=shards, in_flight=[], limit=1_000)
        yield "relay: remove", lambda: queue.remove(positions=[row.position for row in waiting])
        yield "relay: depth", queue.depth

    def _clock(self) -> Iterator[Step]:
        for task in (
            checkout_tasks.expire_checkouts, payment_tasks.settle_callbacks, payment_tasks.poll_attempts,
            payment_tasks.expire_orders, mail_tasks.send_mails, kafka_tasks.redrive_parked,
            idempotency_tasks.forget_old_keys,
        ):  # fmt: skip
            yield f"clock: {task.name.rsplit('.', 1)[-1]}", task

    def _supporting(self) -> Iterator[Step]:
        browser = Client()
        browser.force_login(User.objects.filter(is_superuser=True).first())
        for model in admin.site._registry:
            path = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
            yield f"admin: {model._meta.label_lower}", lambda path=path: browser.get(path)
            yield f"admin search: {model._meta.label_lower}", lambda path=path: browser.get(path, {"q": "guest-4711"})
        path = reverse("admin:orders_order_change", args=[self.order["id"]])
        yield "admin: one order", lambda: browser.get(path)

    def _add(self, sku: str) -> None:
        self._post("/cart/me/items", {"sku": sku, "quantity": 1})

    def _check_out(self) -> None:
        self.offer = self._post("/checkout", WISH)

    def _place(self) -> None:
        agreed = {"checkout_id": self.offer["id"], "quote_hash": self.offer["quote_hash"]}
        self.order = self._post("/orders", agreed)

    def _pay(self) -> None:
        self._post("/payments", {"order_id": self.order["id"], "return_url": "https://shop.example.com/thanks"})
        self.gateway.pay(self.gateway.only_session())

    def _report(self) -> None:
        headers: dict[str, Any] = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in SIGNED.items()}
        body = callback_body(self.gateway.only_session(), event_id=f"evt-{new_id()}")
        answer = APIClient().post("/payment-callback", body, content_type="application/json", **headers)
        assert answer.status_code == 200, answer.content

    def _callback(self) -> UUID:
        return Callback.objects.get(session_id=self.gateway.only_session()).id

    def _told(self) -> Iterator[Any]:
        heard: set[UUID] = set()
        since = self.began_at - timedelta(seconds=1)
        while unheard := [
            one for part in log.chunks(log.Selection(since=since), size=500) for one in part if one.id not in heard
        ]:
            for told in unheard:
                heard.add(told.id)
                yield told

    def _hand(self, name: str, told: Any) -> None:
        deliver(group=group(name), events=[of_log(told)], now=utc_now())

    def _get(self, path: str) -> Any:
        answer = self.client.get(path)
        assert answer.status_code == 200, answer.content
        return answer.json()

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        key: dict[str, Any] = {"HTTP_IDEMPOTENCY_KEY": str(new_id())}
        answer = self.client.post(path, body, format="json", **key)
        assert answer.status_code < 300, answer.content
        return answer.json()


def steps() -> Iterator[Step]:
    """Yield every step with its name."""
    yield from Walk().steps()
