"""`/products`, `/cart`, `/checkout`, `/orders`."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from tests.contract import shapes
from tests.contract.conftest import ADDRESS, OFFER, Api, fields, problem


def test_products(shopper: Api) -> None:
    listed = shopper.ok("GET", "/products")
    shapes.require(listed, shapes.page_of(shapes.PRODUCT))
    assert {one["sku"]: one["available"] for one in listed["results"]} == {"MUG": 5, "BOWL": 100, "TEA": 0}

    shapes.require(shopper.ok("GET", "/products/MUG"), shapes.PRODUCT)
    assert [one["sku"] for one in shopper.ok("GET", "/products?category=Tea")["results"]] == ["TEA"]
    assert [one["sku"] for one in shopper.ok("GET", "/products?search=bowl")["results"]] == ["BOWL"]
    assert problem(shopper("GET", "/products/NOPE"), "sku") == (404, "unknown_sku")


def test_a_list_is_read_page_by_page_and_back(shopper: Api) -> None:
    seen: list[str] = []
    page = shopper.ok("GET", "/products?limit=1")
    assert page["previous"] is None
    while True:
        seen += [one["sku"] for one in page["results"]]
        last = page
        if page["next"] is None:
            break
        page = shopper.ok("GET", page["next"].removeprefix("http://testserver"))

    back = shopper.ok("GET", last["previous"].removeprefix("http://testserver"))

    assert seen == ["MUG", "BOWL", "TEA"]
    assert [one["sku"] for one in back["results"]] == ["BOWL"]


@pytest.mark.parametrize("path", ["/products", "/orders"])
@pytest.mark.parametrize("limit", ["0", "101", "-1", "1.5", "x", ""])
def test_a_limit_is_1_to_100(shopper: Api, path: str, limit: str) -> None:
    assert fields(shopper("GET", f"{path}?limit={limit}")) == {"/limit": "invalid"}


@pytest.mark.parametrize("path", ["/products", "/orders"])
def test_a_cursor_of_nobodys_is_refused(shopper: Api, path: str) -> None:
    assert fields(shopper("GET", f"{path}?cursor=zzz")) == {"/cursor": "invalid"}


def test_a_cart(shopper: Api) -> None:
    empty = shopper.ok("GET", "/cart/me")
    shapes.require(empty, shapes.CART)
    assert (empty["lines"], empty["subtotal"]) == ([], {"amount": 0, "currency": "EUR"})

    filled = shopper.ok("POST", "/cart/me/items", {"sku": "MUG", "quantity": 2})
    shapes.require(filled, shapes.CART)
    assert shopper.ok("POST", f"/cart/{shopper.id}/items", {"sku": "MUG", "quantity": 1})["item_count"] == 3
    assert shopper.ok("PATCH", "/cart/me/items/MUG", {"quantity": 1})["subtotal"] == {"amount": 1650, "currency": "EUR"}
    assert shopper.ok("PATCH", "/cart/me/items/MUG", {"quantity": 0})["lines"] == []
    shopper.ok("POST", "/cart/me/items", {"sku": "BOWL", "quantity": 1})
    shapes.require(shopper.ok("DELETE", "/cart/me/items/BOWL"), shapes.CART)
    shopper.ok("POST", "/cart/me/items", {"sku": "BOWL", "quantity": 1})
    assert shopper.ok("DELETE", "/cart/me")["lines"] == []


def test_what_a_cart_refuses(shopper: Api, stranger: Api) -> None:
    few = shopper("POST", "/cart/me/items", {"sku": "MUG", "quantity": 6})

    assert problem(few, "sku", "wanted", "available") == (409, "insufficient_stock")
    assert few.json()["available"] == 5
    unknown = shopper("POST", "/cart/me/items", {"sku": "NOPE", "quantity": 1})
    assert problem(unknown, "sku") == (404, "unknown_sku")
    assert problem(stranger("GET", f"/cart/{shopper.id}")) == (404, "not_found")
    for quantity, code in (
        (0, "min_value"),
        (1000, "max_value"),
        ("2", "invalid"),
        (1.0, "invalid"),
        (True, "invalid"),
    ):
        assert fields(shopper("POST", "/cart/me/items", {"sku": "MUG", "quantity": quantity})) == {"/quantity": code}
    assert fields(shopper("POST", "/cart/me/items", {"sku": "MUG", "quantity": 1, "price": 1})) == {
        "/price": "unknown_field"
    }
    assert shopper.ok("GET", "/cart/me")["lines"] == []


def test_a_cart_has_an_etag_and_a_stale_write_is_refused(shopper: Api) -> None:
    first = shopper("POST", "/cart/me/items", {"sku": "MUG", "quantity": 1})
    second = shopper("POST", "/cart/me/items", {"sku": "MUG", "quantity": 1}, if_match=first["ETag"])

    stale = shopper("PATCH", "/cart/me/items/MUG", {"quantity": 5}, if_match=first["ETag"])
    known = shopper("GET", "/cart/me", if_none_match=second["ETag"])

    assert second.status_code == 200
    assert problem(stale, "version") == (412, "precondition_failed")
    assert (known.status_code, known.content) == (304, b"")
    assert shopper.ok("GET", "/cart/me")["item_count"] == 2


def test_shipping_methods(shopper: Api) -> None:
    methods = shopper.ok("GET", "/checkout/shipping-methods?country=DE")

    shape = {"code": shapes.text, "name": shapes.text, "price": shapes.MONEY, "estimated_days": shapes.text}
    shapes.require(methods, {"results": [{**shape, "free_above": shapes.nullable(shapes.MONEY)}]})
    assert [method["code"] for method in methods["results"]] == ["standard", "express"]
    assert fields(shopper("GET", "/checkout/shipping-methods")) == {"/country": "required"}
    assert fields(shopper("GET", "/checkout/shipping-methods?country=XX")) == {"/country": "invalid_country"}


def test_a_checkout(shopper: Api) -> None:
    shopper.ok("POST", "/cart/me/items", {"sku": "MUG", "quantity": 2})

    started = shopper("POST", "/checkout", OFFER)

    assert started.status_code == 201
    shapes.require(started.json(), {**shapes.CHECKOUT, "status": "open"})
    totals = {name: money["amount"] for name, money in started.json()["totals"].items()}
    assert totals["total"] == totals["subtotal"] - totals["discount"] + totals["shipping"] == 3790
    path = f"/checkout/{started.json()['id']}"
    assert shopper.ok("GET", path) == started.json()
    assert shopper("DELETE", path).status_code == 204
    assert shopper.ok("GET", path)["status"] == "released"


def test_a_second_checkout_replaces_the_first_and_its_reservation(shopper: Api, stranger: Api) -> None:
    shopper.ok("POST", "/cart/me/items", {"sku": "MUG", "quantity": 5})
    first = shopper.ok("POST", "/checkout", OFFER)
    second = shopper.ok("POST", "/checkout", OFFER)

    assert shopper.ok("GET", f"/checkout/{first['id']}")["status"] == "released"
    assert shopper.ok("GET", f"/checkout/{second['id']}")["status"] == "open"
    assert stranger.ok("GET", "/products/MUG")["available"] == 0


def test_what_a_checkout_refuses(shopper: Api, stranger: Api) -> None:
    assert problem(shopper("POST", "/checkout", OFFER)) == (409, "cart_empty")
    for one in (shopper, stranger):
        one.ok("POST", "/cart/me/items", {"sku": "MUG", "quantity": 3})
    elsewhere = shopper("POST", "/checkout", {**OFFER, "shipping_method": "rocket"})
    assert problem(elsewhere, "country", "shipping_method") == (409, "shipping_unavailable")
    theirs = stranger.ok("POST", "/checkout", OFFER)
    short = shopper("POST", "/checkout", OFFER)
    assert problem(short, "lines") == (409, "insufficient_stock")
    assert short.json()["lines"] == [{"sku": "MUG", "wanted": 3, "available": 2}]
    assert problem(shopper("GET", f"/checkout/{theirs['id']}")) == (404, "not_found")
    assert problem(shopper("DELETE", f"/checkout/{theirs['id']}")) == (404, "not_found")
    wrong = {"email": "nobody", "shipping_address": {**ADDRESS, "country": "XX", "planet": "Mars"}, "total": 1}
    assert set(fields(shopper("POST", "/checkout", wrong))) == {"/total"}
    del wrong["total"]
    found = fields(shopper("POST", "/checkout", wrong))
    assert found.pop("/shipping_address/planet") == "unknown_field"
    assert found == {"/email": "invalid", "/shipping_method": "required"}


def test_an_order_is_placed_once(shopper: Api) -> None:
    shopper.ok("POST", "/cart/me/items", {"sku": "MUG", "quantity": 2})
    checkout = shopper.ok("POST", "/checkout", OFFER)
    body = {"checkout_id": checkout["id"], "quote_hash": checkout["quote_hash"]}

    placed, again = shopper("POST", "/orders", body), shopper("POST", "/orders", body)

    assert (placed.status_code, again.status_code) == (201, 200)
    shapes.require(placed.json(), {**shapes.ORDER_IN_LIST, "status": "pending_payment", "payment_status": "unpaid"})
    assert again.json() == placed.json()
    read = shopper.ok("GET", f"/orders/{placed.json()['id']}")
    shapes.require(read, shapes.ORDER)
    assert read == placed.json() | {"timeline": read["timeline"]}
    assert placed.json()["totals"] == checkout["totals"]
    listed = shopper.ok("GET", "/orders")
    shapes.require(listed, shapes.page_of(shapes.ORDER_IN_LIST))
    assert [order["id"] for order in listed["results"]] == [placed.json()["id"]]


def test_what_an_order_refuses(shopper: Api, stranger: Api) -> None:
    shopper.ok("POST", "/cart/me/items", {"sku": "MUG", "quantity": 1})
    first = shopper.ok("POST", "/checkout", OFFER)
    theirs = stranger("POST", "/orders", {"checkout_id": first["id"]})
    other = shopper("POST", "/orders", {"checkout_id": first["id"], "quote_hash": "another"})
    shopper.ok("POST", "/cart/me/items", {"sku": "MUG", "quantity": 1})
    stale = shopper("POST", "/orders", {"checkout_id": first["id"]})
    second = shopper.ok("POST", "/checkout", OFFER)
    # The token would expire as well, so the caller's clock stays behind.
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=9), tick=True):
        open_still = shopper.ok("GET", f"/checkout/{second['id']}")

    assert problem(theirs) == (404, "not_found")
    assert problem(other, "seen_total", "total") == (409, "quote_mismatch")
    assert problem(stale) == (409, "checkout_stale")
    assert open_still["status"] == "open"
    assert problem(shopper("POST", "/orders", {"checkout_id": "nonsense"})) == (404, "not_found")
    assert fields(shopper("POST", "/orders", {})) == {"/checkout_id": "required"}
    assert shopper.ok("GET", "/orders")["results"] == []


def test_an_expired_checkout_makes_no_order(shopper: Api, settings: object) -> None:
    settings.CHECKOUT_LIFETIME_SECONDS = 60  # type: ignore[attr-defined]  # pytest-django's fixture takes any setting
    shopper.ok("POST", "/cart/me/items", {"sku": "MUG", "quantity": 1})
    checkout = shopper.ok("POST", "/checkout", OFFER)

    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=2), tick=True):
        refused = shopper("POST", "/orders", {"checkout_id": checkout["id"]})

    assert problem(refused) == (409, "checkout_expired")


def test_an_order_is_called_off_once(shopper: Api, stranger: Api, order: dict[str, str]) -> None:
    path = f"/orders/{order['id']}"

    theirs = stranger("POST", f"{path}/cancel", {})
    cancelled = shopper.ok("POST", f"{path}/cancel", {"reason": "changed my mind"})
    again = shopper("POST", f"{path}/cancel", {})

    assert problem(theirs) == (404, "not_found")
    shapes.require(cancelled, {**shapes.ORDER_IN_LIST, "status": "cancelled"})
    assert problem(again, "current", "wanted") == (409, "illegal_transition")
    assert problem(stranger("GET", path)) == (404, "not_found")


def test_staff_may_read_what_is_a_shoppers(staff: Api, shopper: Api, order: dict[str, str]) -> None:
    assert staff.ok("GET", f"/orders/{order['id']}")["id"] == order["id"]
    assert staff.ok("GET", f"/cart/{shopper.id}")["user_id"] == shopper.id
