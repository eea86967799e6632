"""`/internal`: what the house's own systems change."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from integrations.management.commands.seed import SCOPES
from orders import services as orders
from orders.dto import RefundNews, RefundTold
from shop.kernel.clock import utc_now
from shop.kernel.http.views import InternalView
from shop.kernel.ids import new_id
from shop.kernel.money import Money
from shop.kernel.transactions import open_unit_of_work
from tests.contract import shapes
from tests.contract.conftest import Api, fields, problem
from tests.docs.markdown import ROOT, table_rows

Shown = dict[str, Any]


@pytest.fixture
def paid(order: Shown) -> Shown:
    """The shopper's order; its money is in."""
    total = Money(**order["totals"]["total"])
    with open_unit_of_work():
        orders.mark_paid(order_id=UUID(order["id"]), payment_id=new_id(), amount=total, now=utc_now())
    return order


def test_a_paid_order_is_sent_once(system: Api, shopper: Api, paid: Shown) -> None:
    path = f"/internal/orders/{paid['id']}/fulfil"

    sent, again = (system("POST", path, {"tracking": "00340434"}, idempotency_key="parcel") for _ in range(2))

    assert sent.status_code == 200
    shapes.require(sent.json(), {**shapes.INTERNAL_ORDER, "status": "fulfilled", "tracking": "00340434"})
    assert (again.content, again["Idempotent-Replayed"]) == (sent.content, "true")
    assert problem(system("POST", path, {}), "current", "wanted") == (409, "illegal_transition")
    assert shopper.ok("GET", f"/orders/{paid['id']}")["timeline"][-1]["type"] == "fulfilled"


def test_what_is_not_sent(system: Api, narrow: Api, staff: Api, order: Shown) -> None:
    path = f"/internal/orders/{order['id']}/fulfil"

    assert problem(system("POST", path, {}), "current", "wanted") == (409, "illegal_transition")
    assert fields(system("POST", path, {"tracking": "x" * 201})) == {"/tracking": "max_length"}
    assert fields(system("POST", path, {"status": "fulfilled"})) == {"/status": "unknown_field"}
    assert problem(system("POST", "/internal/orders/nope/fulfil", {})) == (404, "not_found")
    assert problem(narrow("POST", path, {}), "scope") == (403, "insufficient_scope")
    assert problem(staff("POST", path, {})) == (401, "not_authenticated")


def test_what_is_given_back_in_part_is_sent_and_what_is_given_back_whole_is_not(system: Api, order: Shown) -> None:
    path = f"/internal/orders/{order['id']}/fulfil"
    order_id, payment_id, total = UUID(order["id"]), new_id(), Money(**order["totals"]["total"])
    with open_unit_of_work():
        orders.mark_paid(order_id=order_id, payment_id=payment_id, amount=total, now=utc_now())
    news = RefundNews(
        event_id=new_id(),
        refund_id=new_id(),
        payment_id=payment_id,
        amount=total,
        told=RefundTold.SUCCEEDED,
        why="requested",
    )
    with open_unit_of_work():
        orders.note_refund(order_id=order_id, news=news, now=utc_now())

    refused = system("POST", path, {})
    with open_unit_of_work():
        came_back = replace(news, event_id=new_id(), told=RefundTold.REVERSED)
        orders.note_refund(order_id=order_id, news=came_back, now=utc_now())
        part = replace(news, event_id=new_id(), refund_id=new_id(), amount=Money(1, total.currency))
        orders.note_refund(order_id=order_id, news=part, now=utc_now())
    sent = system("POST", path, {})

    assert problem(refused) == (409, "order_refunded")
    assert sent.status_code == 200
    shapes.require(
        sent.json(), {**shapes.INTERNAL_ORDER, "status": "fulfilled", "payment_status": "partially_refunded"}
    )


def test_stock_is_counted(system: Api, shopper: Api) -> None:
    counted = system.ok("PUT", "/internal/stock/MUG", {"on_hand": 12})

    shapes.require(counted, shapes.STOCK)
    assert counted == {"sku": "MUG", "on_hand": 12, "held": 0, "available": 12}
    assert shopper.ok("GET", "/products/MUG")["available"] == 12


def test_stock_is_not_counted_below_what_is_held(system: Api, order: Shown) -> None:
    refused = system("PUT", "/internal/stock/MUG", {"on_hand": 1})
    exactly = system.ok("PUT", "/internal/stock/MUG", {"on_hand": 2})

    assert problem(refused, "sku", "on_hand", "held") == (409, "stock_below_held")
    assert exactly == {"sku": "MUG", "on_hand": 2, "held": 2, "available": 0}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "required"),
        ({"on_hand": -1}, "min_value"),
        ({"on_hand": 1.0}, "invalid"),
        ({"on_hand": True}, "invalid"),
        ({"on_hand": "3"}, "invalid"),
        ({"on_hand": 2**31}, "max_value"),
    ],
)
def test_what_is_no_count(system: Api, body: Shown, code: str) -> None:
    assert fields(system("PUT", "/internal/stock/MUG", body)) == {"/on_hand": code}


def test_stock_of_nothing_and_for_nobody(system: Api, narrow: Api) -> None:
    for nowhere in ("NOPE", "A/B", "A%00"):
        assert problem(system("PUT", f"/internal/stock/{nowhere}", {"on_hand": 1}), "sku") == (404, "unknown_sku")
    assert problem(narrow("PUT", "/internal/stock/MUG", {"on_hand": 9}), "scope") == (403, "insufficient_scope")


def test_every_scope_is_explained_and_the_development_key_has_it() -> None:
    page = (ROOT / "shop" / "kernel" / "auth" / "README.md").read_text()
    explained = {cells[0].strip("`") for cells in table_rows(page) if ":" in cells[0]}
    opening = {view.scope for view in InternalView.__subclasses__() if hasattr(view, "scope")}

    assert opening <= explained
    assert opening == set(SCOPES)
