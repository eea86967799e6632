from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest
from rest_framework.test import APIClient

from shop.catalog.dto import ProductView
from shop.catalog.serializers import ProductSchema, product_json
from shop.kernel.auth.dto import Caller
from shop.kernel.events import UserAction
from shop.kernel.ids import new_id
from shop.kernel.money import Money
from shop.kernel.views import buffer
from tests.clients import client_of
from tests.shop.catalog.factories import article, bring_in, product

pytestmark = pytest.mark.django_db
Counting = Callable[[], AbstractContextManager[list[str]]]


@pytest.fixture
def api(shopper: Caller) -> APIClient:
    return client_of(shopper)


@pytest.fixture
def views() -> Iterator[Callable[[], list[UserAction]]]:
    """Return a function that tells which views were recorded since the test began."""
    buffer.take(100_000)
    yield lambda: [view for view, _ in buffer.take(100)]
    buffer.take(100_000)


def test_a_product_as_the_contract_has_it(api: APIClient) -> None:
    bring_in(product(article(on_hand=250)))

    answer = api.get("/products/MUG")

    assert answer.status_code == 200
    assert answer.json() == {
        "sku": "MUG",
        "name": "Mug",
        "description": "Holds tea.",
        "image_url": "http://127.0.0.1:8000/static/mug.svg",
        "price": {"amount": 1650, "currency": "EUR"},
        "available": 100,
        "category": "Tableware",
    }


def test_the_answer_has_the_keys_of_its_schema() -> None:
    view = ProductView(
        id=new_id(), sku="A", name="", description="", image_url="", category="", price=Money(1, "EUR"), available=0
    )

    assert list(product_json(view)) == list(ProductSchema().fields)


@pytest.mark.parametrize("sku", ["NO-SUCH", "with/slash", "%00", "%F0%9F%8D%B5", "a b"])
def test_what_is_not_sold_is_not_found(api: APIClient, sku: str) -> None:
    answer = api.get(f"/products/{sku}")

    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_sku")


def test_a_sku_may_have_a_slash(api: APIClient) -> None:
    bring_in(product(article("TEA/50 g")))

    assert api.get("/products/TEA%2F50%20g").json()["sku"] == "TEA/50 g"


def test_pages_lead_to_the_end_and_back(api: APIClient) -> None:
    skus = [f"SKU-{n}" for n in range(5)]
    bring_in(*[product(article(sku), handle=sku) for sku in skus])

    first = api.get("/products?limit=2").json()
    second = api.get(first["next"]).json()
    third = api.get(second["next"]).json()
    back = api.get(third["previous"]).json()

    pages = [[row["sku"] for row in page["results"]] for page in (first, second, third, back)]
    assert pages == [["SKU-0", "SKU-1"], ["SKU-2", "SKU-3"], ["SKU-4"], ["SKU-2", "SKU-3"]]
    assert (first["previous"], third["next"]) == (None, None)


def test_filters_survive_paging(api: APIClient) -> None:
    bring_in(*[product(article(f"{n}", name=f"Tea {n}"), handle=f"{n}", category="Tea") for n in range(3)], product())

    first = api.get("/products", {"search": "tea", "category": "Tea", "limit": "2"}).json()
    second = api.get(first["next"]).json()

    assert [row["name"] for row in first["results"] + second["results"]] == ["Tea 0", "Tea 1", "Tea 2"]


def test_an_empty_shop_has_an_empty_page(api: APIClient) -> None:
    assert api.get("/products").json() == {"results": [], "next": None, "previous": None}


def test_prices_are_given_in_the_asked_currency(api: APIClient) -> None:
    bring_in(product(article(prices={"EUR": 1650, "JPY": 2700})), currencies=("EUR", "JPY"))

    assert api.get("/products?currency=JPY").json()["results"][0]["price"] == {"amount": 2700, "currency": "JPY"}
    assert api.get("/products/MUG?currency=JPY").json()["price"] == {"amount": 2700, "currency": "JPY"}
    assert api.get("/products/MUG?currency=USD").status_code == 404


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ({"limit": "0"}, "/limit"),
        ({"limit": "101"}, "/limit"),
        ({"limit": "ten"}, "/limit"),
        ({"limit": ""}, "/limit"),
        ({"limit": "\u0663"}, "/limit"),
        ({"cursor": "x"}, "/cursor"),
        ({"cursor": "bjpub3RhbmlkCg"}, "/cursor"),
        ({"cursor": "bjpub3RhbmlkCg=="}, "/cursor"),
        ({"currency": "EURO"}, "/currency"),
        ({"currency": "eur"}, "/currency"),
        ({"currency": ""}, "/currency"),
        ({"search": "a\x00"}, "/search"),
        ({"search": "x" * 201}, "/search"),
        ({"category": "a\x07"}, "/category"),
    ],
)
def test_bad_queries_are_refused(api: APIClient, query: dict[str, str], pointer: str) -> None:
    answer = api.get("/products", query)

    assert answer.status_code == 400
    assert answer["Content-Type"] == "application/problem+json"
    body = answer.json()
    assert (body["code"], [error["pointer"] for error in body["errors"]]) == ("validation_error", [pointer])


@pytest.mark.parametrize("path", ["/products", "/products/MUG"])
def test_only_somebody_known_may_look(path: str) -> None:
    answer = APIClient().get(path)

    assert answer.status_code == 401
    assert answer["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("path", ["/products", "/products/MUG"])
def test_the_shop_window_is_only_looked_at(api: APIClient, path: str) -> None:
    assert api.post(path, {}, format="json").status_code == 405


@pytest.mark.parametrize("many", [1, 3])
def test_a_page_is_one_statement(api: APIClient, statements: Counting, many: int) -> None:
    bring_in(*[product(article(f"SKU-{n}"), handle=f"{n}") for n in range(many)])

    with statements() as counted:
        answer = api.get("/products?search=mug")

    assert len(answer.json()["results"]) == many
    assert len(counted) == 1


def told(actions: list[UserAction]) -> list[tuple[str, dict[str, Any]]]:
    return [(action.name, dict(action.properties)) for action in actions]


def test_looking_at_a_product_is_told(api: APIClient, shopper: Caller, views: Callable[[], list[UserAction]]) -> None:
    bring_in(product())

    api.get("/products/MUG")
    api.get("/products/NO-SUCH")

    [action] = actions = views()
    assert told(actions) == [
        (
            "Product Viewed",
            {"sku": "MUG", "category": "Tableware", "price": 1650, "currency": "EUR", "available": 5},
        )
    ]
    assert (action.user_id, action.guest) == (shopper.id, False)


def test_a_search_is_told_once_and_without_its_words(api: APIClient, views: Callable[[], list[UserAction]]) -> None:
    bring_in(*[product(article(f"SKU-{n}"), handle=f"{n}") for n in range(3)])

    api.get("/products")
    first = api.get("/products?search=mug&limit=2").json()
    api.get(first["next"])

    assert told(views()) == [("Products Searched", {"search_length": 3, "category": None, "results": 2})]


def test_the_list_begins_with_what_came_first(api: APIClient) -> None:
    skus = [f"SKU-{n}" for n in range(30)]
    bring_in(*[product(article(sku), handle=sku) for sku in skus])

    assert [row["sku"] for row in api.get("/products?limit=100").json()["results"]] == skus
