"""How a payment begins when taps are doubled, keys are stolen, commits fail and prices change: over HTTP."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import OperationalError

from checkout.services import seed_rates
from orders.dto import OrderView
from payments.models import Attempt
from payments.services import start
from shop.kernel.auth.dto import Caller
from shop.kernel.idempotency import services as idempotency
from shop.kernel.idempotency.models import Key
from tests.cart.factories import on_sale
from tests.clients import client_of
from tests.payments.factories import RETURN_URL
from tests.payments.fakes import FakeGateway
from tests.races import at_once

pytestmark = pytest.mark.django_db(transaction=True)

KEY = {"Idempotency-Key": "one-tap"}
ADDRESS = {"name": "Ada Byron", "line1": "Mole 1", "city": "Kiel", "postal_code": "24103", "country": "DE"}


@pytest.fixture
def now() -> datetime:
    """The present: views read the clock themselves."""
    return datetime.now(UTC)


def begin(caller: Caller, order: OrderView, *, keyed: bool = True) -> Any:
    wish = {"order_id": str(order.order_id), "return_url": RETURN_URL}
    return client_of(caller).post("/payments", wish, format="json", headers=KEY if keyed else {})


def test_twenty_in_parallel_under_one_key_make_one_session_and_one_answer(
    shopper: Caller, order: OrderView, gateway: FakeGateway
) -> None:
    answers = at_once(*[lambda: begin(shopper, order)] * 20)

    made = [answer for answer in answers if answer.status_code == 201]
    waiting = [answer for answer in answers if answer.status_code == 409]
    assert len(made) + len(waiting) == 20
    assert [answer.headers.get("Idempotent-Replayed") for answer in made].count(None) == 1
    assert len({answer.content for answer in made}) == 1
    assert {answer.json()["code"] for answer in waiting} <= {"request_in_flight"}
    assert len(gateway.sessions) == 1
    assert gateway.calls == ["create_session"]
    assert Attempt.objects.count() == 1
    assert begin(shopper, order).content == made[0].content


def test_another_users_key_is_another_key_and_tells_nothing(
    shopper: Caller, stranger: Caller, order: OrderView, gateway: FakeGateway
) -> None:
    mine = begin(shopper, order)

    theirs = begin(stranger, order)

    assert (mine.status_code, theirs.status_code) == (201, 404)
    assert "Idempotent-Replayed" not in theirs.headers
    assert gateway.sessions[gateway.only_session()].redirect_url.encode() not in theirs.content
    assert Key.objects.get().user_id == shopper.id


@pytest.mark.parametrize("fails", ["telling of it", "telling of it, under a key", "keeping the answer, under a key"])
def test_nobody_is_redirected_before_the_commit(
    fails: str, shopper: Caller, order: OrderView, gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyed = "key" in fails

    def away(*_: object, **__: object) -> None:
        raise OperationalError("the database is away")

    with monkeypatch.context() as meanwhile:
        if fails.startswith("telling"):
            meanwhile.setattr(start, "publish", away)
        else:
            meanwhile.setattr(idempotency, "keep", away)
        refused = begin(shopper, order, keyed=keyed)

    session = gateway.sessions[gateway.only_session()]
    assert refused.status_code == 503
    assert session.redirect_url.encode() not in refused.content
    assert Attempt.objects.get().session_id == ""
    again = begin(shopper, order, keyed=keyed)
    assert again.json()["redirect_url"] == session.redirect_url
    assert Attempt.objects.get().session_id == gateway.only_session()


def test_a_price_changed_after_checkout_charges_the_frozen_total(shopper: Caller, gateway: FakeGateway) -> None:
    seed_rates()
    on_sale("MUG", price=1_000)
    shopping = client_of(shopper)
    shopping.post("/cart/me/items", {"sku": "MUG", "quantity": 2}, format="json")
    wish = {"email": "ada@example.com", "shipping_address": ADDRESS, "shipping_method": "standard"}
    offer = shopping.post("/checkout", wish, format="json").json()

    on_sale("MUG", price=9_999)
    agreed = {"checkout_id": offer["id"], "quote_hash": offer["quote_hash"]}
    order = shopping.post("/orders", agreed, format="json").json()
    on_sale("MUG", price=1)
    asked = {"order_id": order["id"], "return_url": RETURN_URL}
    payment = shopping.post("/payments", asked, format="json").json()

    assert payment["amount"] == order["totals"]["total"] == offer["totals"]["total"]
    charged = gateway.requests[gateway.only_session()].amount
    assert {"amount": charged.amount, "currency": charged.currency} == offer["totals"]["total"]
    assert offer["totals"]["subtotal"] == {"amount": 2_000, "currency": "EUR"}
