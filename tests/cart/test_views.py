import pytest
from rest_framework.test import APIClient

from cart.models import Cart
from cart.queries import cart_of
from shop.kernel import views as kernel_views
from shop.kernel.auth.dto import Caller
from tests.cart.factories import filled, on_sale, stocked
from tests.clients import client_of, pointers, problem

pytestmark = pytest.mark.django_db


@pytest.fixture
def client(shopper: Caller) -> APIClient:
    return client_of(shopper)


def test_an_empty_cart_reads_like_any_other(client: APIClient, shopper: Caller) -> None:
    response = client.get("/cart/me")

    assert response.status_code == 200
    assert response.json() == {
        "id": str(shopper.id),
        "user_id": str(shopper.id),
        "currency": "EUR",
        "version": 0,
        "lines": [],
        "item_count": 0,
        "subtotal": {"amount": 0, "currency": "EUR"},
        "warnings": [],
    }


def test_a_filled_cart_is_answered_by_every_call(client: APIClient, shopper: Caller) -> None:
    on_sale("MUG", price=1_250, available=9)

    added = client.post("/cart/me/items", {"sku": "MUG", "quantity": 2}, format="json")

    assert added.status_code == 200
    assert added.json() == {
        "id": str(shopper.id),
        "user_id": str(shopper.id),
        "currency": "EUR",
        "version": 1,
        "lines": [
            {
                "sku": "MUG",
                "name": "The MUG",
                "image_url": "",
                "quantity": 2,
                "unit_price": {"amount": 1_250, "currency": "EUR"},
                "line_total": {"amount": 2_500, "currency": "EUR"},
                "available": 9,
            }
        ],
        "item_count": 2,
        "subtotal": {"amount": 2_500, "currency": "EUR"},
        "warnings": [],
    }
    assert client.get(f"/cart/{shopper.id}").json() == added.json()
    assert client.patch("/cart/me/items/MUG", {"quantity": 5}, format="json").json()["item_count"] == 5
    assert client.delete("/cart/me/items/MUG").json()["lines"] == []
    assert client.delete("/cart/me").status_code == 200


def test_warnings_reach_the_shopper(client: APIClient, shopper: Caller) -> None:
    on_sale("MUG")
    filled(shopper, MUG=3)
    stocked("MUG", 1)

    assert client.get("/cart/me").json()["warnings"] == [
        {"code": "insufficient_stock", "sku": "MUG", "detail": "3 units are wanted and 1 are available."}
    ]


def test_an_unknown_article_is_404(client: APIClient) -> None:
    response = client.post("/cart/me/items", {"sku": "NO-SUCH", "quantity": 1}, format="json")

    assert problem(response) == (404, "unknown_sku")


def test_a_shortage_is_409_and_says_how_much_there_is(client: APIClient) -> None:
    on_sale("MUG", available=3)

    response = client.post("/cart/me/items", {"sku": "MUG", "quantity": 4}, format="json")

    assert problem(response) == (409, "insufficient_stock")
    assert response.json()["available"] == 3


def test_adding_up_above_a_lines_limit_is_409(client: APIClient) -> None:
    on_sale("MUG", available=5_000)
    client.post("/cart/me/items", {"sku": "MUG", "quantity": 999}, format="json")

    response = client.post("/cart/me/items", {"sku": "MUG", "quantity": 1}, format="json")

    assert problem(response) == (409, "quantity_limit")


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({"sku": "MUG", "quantity": 0}, {"/quantity": "min_value"}),
        ({"sku": "MUG", "quantity": 1_000}, {"/quantity": "max_value"}),
        ({"sku": "MUG", "quantity": -1}, {"/quantity": "min_value"}),
        ({"sku": "MUG", "quantity": 10**30}, {"/quantity": "max_value"}),
        ({"sku": "MUG", "quantity": "1"}, {"/quantity": "invalid"}),
        ({"sku": "MUG", "quantity": 1.0}, {"/quantity": "invalid"}),
        ({"sku": "MUG", "quantity": True}, {"/quantity": "invalid"}),
        ({"sku": "MUG", "quantity": None}, {"/quantity": "null"}),
        ({"sku": "MUG"}, {"/quantity": "required"}),
        ({"quantity": 1}, {"/sku": "required"}),
        ({"sku": "", "quantity": 1}, {"/sku": "blank"}),
        ({"sku": "M" * 256, "quantity": 1}, {"/sku": "max_length"}),
        ({"sku": "MUG\x00", "quantity": 1}, {"/sku": "control"}),
        ({"sku": 7, "quantity": 1}, {"/sku": "invalid"}),
        ({"sku": "MUG", "quantity": 1, "price": 1}, {"/price": "unknown_field"}),
        ({"sku": "MUG", "quantity": 1, "unit_price": {"amount": 1}}, {"/unit_price": "unknown_field"}),
    ],
)
def test_a_body_that_is_wrong_is_400_at_the_field(
    client: APIClient, body: dict[str, object], wrong: dict[str, str]
) -> None:
    on_sale("MUG")

    assert pointers(client.post("/cart/me/items", body, format="json")) == wrong
    assert not Cart.objects.exists()


@pytest.mark.parametrize(("quantity", "code"), [(-1, "min_value"), (1_000, "max_value"), ("2", "invalid")])
def test_a_quantity_to_set_is_between_0_and_999(client: APIClient, quantity: object, code: str) -> None:
    response = client.patch("/cart/me/items/MUG", {"quantity": quantity}, format="json")

    assert pointers(response) == {"/quantity": code}


def test_a_sku_with_a_slash_is_one_sku(client: APIClient) -> None:
    on_sale("MUG/BLUE")

    assert client.patch("/cart/me/items/MUG/BLUE", {"quantity": 2}, format="json").json()["item_count"] == 2
    assert client.delete("/cart/me/items/MUG%2FBLUE").json()["item_count"] == 0


@pytest.mark.parametrize("method", ["patch", "delete"])
def test_a_sku_no_database_could_store_is_unknown(client: APIClient, method: str) -> None:
    response = getattr(client, method)("/cart/me/items/MUG%00", {"quantity": 2}, format="json")

    assert problem(response) == (404, "unknown_sku")


# --- versions ---------------------------------------------------------------------------------------------


def test_every_answer_carries_the_tag_a_write_may_insist_on(client: APIClient) -> None:
    on_sale("MUG")
    on_sale("TEA")
    empty = client.get("/cart/me")

    first = client.post(
        "/cart/me/items", {"sku": "MUG", "quantity": 1}, format="json", headers={"If-Match": empty["ETag"]}
    )
    second = client.patch("/cart/me/items/TEA", {"quantity": 1}, format="json", headers={"If-Match": first["ETag"]})
    third = client.delete("/cart/me/items/TEA", headers={"If-Match": second["ETag"]})
    fourth = client.delete("/cart/me", headers={"If-Match": third["ETag"]})

    assert [response.status_code for response in (first, second, third, fourth)] == [200] * 4
    assert [response.json()["version"] for response in (first, second, third, fourth)] == [1, 2, 3, 4]
    assert client.get("/cart/me")["ETag"] == fourth["ETag"]


def test_a_write_meant_for_an_older_cart_is_412_and_changes_nothing(client: APIClient, shopper: Caller) -> None:
    on_sale("MUG")
    old = client.get("/cart/me")["ETag"]
    filled(shopper, MUG=1)

    refused = [
        client.post("/cart/me/items", {"sku": "MUG", "quantity": 1}, format="json", headers={"If-Match": old}),
        client.patch("/cart/me/items/MUG", {"quantity": 9}, format="json", headers={"If-Match": old}),
        client.delete("/cart/me/items/MUG", headers={"If-Match": old}),
        client.delete("/cart/me", headers={"If-Match": old}),
    ]

    assert [problem(response) for response in refused] == [(412, "precondition_failed")] * 4
    assert cart_of(user_id=shopper.id).item_count == 1


@pytest.mark.parametrize(
    ("tag", "status"),
    [
        ("*", 200),
        ('"1"', 200),
        ('"1-abcdef"', 200),
        ('W/"1-abcdef"', 200),
        ('"0-abcdef", "1-abcdef"', 200),
        ('"0"', 412),
        ('"2"', 412),
        ('"99999999999999999999"', 412),
        ("1", 412),
        ("nonsense", 412),
        ("", 412),
    ],
)
def test_what_if_match_may_say(client: APIClient, shopper: Caller, tag: str, status: int) -> None:
    on_sale("MUG")
    filled(shopper, MUG=1)

    assert client.delete("/cart/me", headers={"If-Match": tag}).status_code == status


def test_a_changed_price_changes_the_tag_and_no_write_is_refused_for_it(client: APIClient, shopper: Caller) -> None:
    on_sale("MUG", price=100)
    filled(shopper, MUG=1)
    before = client.get("/cart/me")["ETag"]
    on_sale("MUG", price=120)

    after = client.get("/cart/me")["ETag"]
    written = client.delete("/cart/me", headers={"If-Match": before})

    assert after != before
    assert written.status_code == 200


def test_an_unchanged_cart_is_304(client: APIClient, shopper: Caller) -> None:
    on_sale("MUG", price=100)
    filled(shopper, MUG=1)
    tag = client.get("/cart/me")["ETag"]

    same = client.get("/cart/me", headers={"If-None-Match": f'"other", W/{tag}'})
    on_sale("MUG", price=120)
    changed = client.get("/cart/me", headers={"If-None-Match": tag})

    assert (same.status_code, same.content, same["ETag"]) == (304, b"", tag)
    assert changed.status_code == 200


# --- whose cart -------------------------------------------------------------------------------------------


def test_nobody_without_a_token() -> None:
    response = APIClient().get("/cart/me")

    assert response.status_code == 401
    assert response["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("whose", ["theirs", "not-an-id", "01a20000-0000-7000-8000-000000000000"])
def test_anothers_cart_does_not_exist(client: APIClient, stranger: Caller, whose: str) -> None:
    on_sale("MUG")
    filled(stranger, MUG=1)
    path = f"/cart/{stranger.id if whose == 'theirs' else whose}"

    refused = [
        client.get(path),
        client.delete(path),
        client.post(f"{path}/items", {"sku": "MUG", "quantity": 1}, format="json"),
        client.patch(f"{path}/items/MUG", {"quantity": 3}, format="json"),
        client.delete(f"{path}/items/MUG"),
    ]

    assert [problem(response) for response in refused] == [(404, "not_found")] * 5
    assert cart_of(user_id=stranger.id).item_count == 1


def test_staff_read_any_cart_and_change_none(staff: Caller, shopper: Caller) -> None:
    on_sale("MUG")
    filled(shopper, MUG=1)
    client = client_of(staff)

    assert client.get(f"/cart/{shopper.id}").json()["item_count"] == 1
    assert client.get("/cart/me").json()["item_count"] == 0
    assert problem(client.get("/cart/not-an-id")) == (404, "not_found")
    assert problem(client.delete(f"/cart/{shopper.id}")) == (404, "not_found")
    assert cart_of(user_id=shopper.id).item_count == 1


# --- repeats and views ------------------------------------------------------------------------------------


def test_adding_again_with_the_same_key_adds_once(client: APIClient, shopper: Caller) -> None:
    on_sale("MUG")
    body = {"sku": "MUG", "quantity": 2}

    first = client.post("/cart/me/items", body, format="json", headers={"Idempotency-Key": "k-1"})
    again = client.post("/cart/me/items", body, format="json", headers={"Idempotency-Key": "k-1"})

    assert again.json() == first.json()
    assert (again["ETag"], again["Idempotent-Replayed"]) == (first["ETag"], "true")
    assert cart_of(user_id=shopper.id).item_count == 2


def test_a_shopper_who_looks_is_told_as_a_view_and_staff_are_not(shopper: Caller, staff: Caller) -> None:
    on_sale("MUG", price=500)
    filled(shopper, MUG=2)
    kernel_views.buffer.take(100_000)

    client_of(staff).get(f"/cart/{shopper.id}")
    client_of(shopper).get("/cart/me")

    [(view, _)] = kernel_views.buffer.take(10)
    assert (view.name, view.user_id, view.guest) == ("Cart Viewed", shopper.id, False)
    assert view.properties == {"cart_id": str(shopper.id), "item_count": 2, "value": 1_000, "currency": "EUR"}
