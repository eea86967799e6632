from typing import Any

import pytest
from rest_framework.test import APIClient

from cart.services import clear
from checkout import services
from checkout.models import Checkout
from checkout.states import Status
from shop.kernel.auth.dto import Caller
from shop.kernel.clock import utc_now
from tests.cart.factories import NOW, filled, on_sale, stocked
from tests.checkout.factories import ADDRESS, LIFETIME, checkout_in, held, status_of
from tests.clients import client_of, pointers, problem

pytestmark = pytest.mark.django_db

BODY: dict[str, Any] = {
    "email": "ada@example.com",
    "shipping_address": ADDRESS,
    "shipping_method": "standard",
}


@pytest.fixture
def client(shopper: Caller) -> APIClient:
    return client_of(shopper)


@pytest.fixture
def _mugs(shopper: Caller) -> None:
    services.seed_rates()
    on_sale("MUG", price=1_190, available=5)
    filled(shopper, MUG=2)


def address(**differences: object) -> dict[str, object]:
    return {**BODY, "shipping_address": {**ADDRESS, **differences}}


@pytest.mark.usefixtures("_mugs")
def test_a_checkout_is_started(client: APIClient) -> None:
    began = utc_now()

    response = client.post("/checkout", BODY, format="json", headers={"Accept-Language": "de-AT, en;q=0.5"})

    written = response.json()
    stored = Checkout.objects.get()
    assert response.status_code == 201
    assert began <= stored.expires_at - LIFETIME <= utc_now()
    assert stored.language == "de"
    assert written["expires_at"].endswith("Z")
    assert len(written["quote_hash"]) == 64
    assert {name: value for name, value in written.items() if name not in {"quote_hash", "expires_at"}} == {
        "id": str(stored.id),
        "status": "open",
        "lines": [
            {
                "sku": "MUG",
                "name": "The MUG",
                "quantity": 2,
                "unit_price": {"amount": 1_190, "currency": "EUR"},
                "discount": {"amount": 0, "currency": "EUR"},
                "tax": {"amount": 380, "currency": "EUR"},
                "line_total": {"amount": 2_380, "currency": "EUR"},
            }
        ],
        "totals": {
            "subtotal": {"amount": 2_380, "currency": "EUR"},
            "discount": {"amount": 0, "currency": "EUR"},
            "shipping": {"amount": 490, "currency": "EUR"},
            "tax": {"amount": 458, "currency": "EUR"},
            "total": {"amount": 2_870, "currency": "EUR"},
        },
        "prices_include_tax": True,
        "email": "ada@example.com",
        "shipping_address": ADDRESS,
        "billing_address": ADDRESS,
        "shipping_method": "standard",
    }
    assert client.get(f"/checkout/{stored.id}").json() == written


@pytest.mark.usefixtures("_mugs")
def test_an_address_comes_back_as_it_was_given(client: APIClient) -> None:
    there = {**ADDRESS, "line2": "", "region": "Kuyavia"}
    bill = {**ADDRESS, "country": "AQ", "line2": "Station 3"}

    written = client.post(
        "/checkout", {**BODY, "shipping_address": there, "billing_address": bill}, format="json"
    ).json()

    assert (written["shipping_address"], written["billing_address"]) == (there, bill)


@pytest.mark.usefixtures("_mugs")
def test_blanks_around_and_small_country_letters_are_forgiven(client: APIClient) -> None:
    response = client.post("/checkout", address(country="de", city="  Berlin "), format="json")

    assert response.json()["shipping_address"] == ADDRESS


def test_an_empty_cart_is_409(client: APIClient) -> None:
    assert problem(client.post("/checkout", BODY, format="json")) == (409, "cart_empty")


@pytest.mark.usefixtures("_mugs")
def test_a_shortage_is_409_with_the_lines(client: APIClient) -> None:
    stocked("MUG", 1)

    response = client.post("/checkout", BODY, format="json")

    assert problem(response) == (409, "insufficient_stock")
    assert response.json()["lines"] == [{"sku": "MUG", "wanted": 2, "available": 1}]


@pytest.mark.usefixtures("_mugs")
def test_a_country_nothing_is_sent_to_is_409(client: APIClient) -> None:
    assert problem(client.post("/checkout", address(country="AQ"), format="json")) == (409, "shipping_unavailable")


@pytest.mark.usefixtures("_mugs")
@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({}, {"/email": "required", "/shipping_address": "required", "/shipping_method": "required"}),
        ({**BODY, "email": "ada"}, {"/email": "invalid"}),
        ({**BODY, "email": "ada@example.com\r\nBcc: all@example.com"}, {"/email": "control"}),
        ({**BODY, "email": "a" * 250 + "@example.com"}, {"/email": "max_length"}),
        ({**BODY, "email": 7}, {"/email": "invalid"}),
        ({**BODY, "email": None}, {"/email": "null"}),
        ({**BODY, "shipping_method": ""}, {"/shipping_method": "blank"}),
        ({**BODY, "shipping_method": ["standard"]}, {"/shipping_method": "invalid"}),
        ({**BODY, "shipping_address": "Berlin"}, {"/shipping_address": "invalid"}),
        ({**BODY, "shipping_address": None}, {"/shipping_address": "null"}),
        ({**BODY, "billing_address": {}}, dict.fromkeys(
            ("/billing_address/name", "/billing_address/line1", "/billing_address/city",
             "/billing_address/postal_code", "/billing_address/country"), "required")),
        (address(name=""), {"/shipping_address/name": "blank"}),
        (address(name="N" * 201), {"/shipping_address/name": "max_length"}),
        (address(name="Ada\nByron"), {"/shipping_address/name": "control"}),
        (address(line1=None), {"/shipping_address/line1": "null"}),
        (address(city="\x00"), {"/shipping_address/city": "control"}),
        (address(country="Germany"), {"/shipping_address/country": "invalid_country"}),
        (address(country="XX"), {"/shipping_address/country": "invalid_country"}),
        (address(country=["DE"]), {"/shipping_address/country": "invalid"}),
        (address(postal_code="10117; DROP"), {"/shipping_address/postal_code": "invalid_postal_code"}),
        (address(postal_code="-"), {"/shipping_address/postal_code": "invalid_postal_code"}),
        (address(postal_code="1" * 17), {"/shipping_address/postal_code": "max_length"}),
        (address(card="4242424242424242"), {"/shipping_address/card": "unknown_field"}),
        ({**BODY, "total": 1}, {"/total": "unknown_field"}),
        ({**BODY, "user_id": "me"}, {"/user_id": "unknown_field"}),
        ({**BODY, "currency": "JPY"}, {"/currency": "unknown_field"}),
    ],
)  # fmt: skip
def test_a_body_that_is_wrong_is_400_at_the_field(
    client: APIClient, body: dict[str, object], wrong: dict[str, str]
) -> None:
    assert pointers(client.post("/checkout", body, format="json")) == wrong
    assert not Checkout.objects.exists()
    assert held("MUG") == 0


@pytest.mark.usefixtures("_mugs")
@pytest.mark.parametrize("postal_code", ["10117", "75008", "SW1A 1AA", "94105-1234", "100-0001", "D02 X285"])
def test_postal_codes_of_many_countries_pass(client: APIClient, postal_code: str) -> None:
    assert client.post("/checkout", address(postal_code=postal_code), format="json").status_code == 201


@pytest.mark.usefixtures("_mugs")
def test_names_of_the_world_pass(client: APIClient) -> None:
    response = client.post("/checkout", address(name="山田 太郎", city="Łódź"), format="json")

    assert response.json()["shipping_address"]["name"] == "山田 太郎"


@pytest.mark.usefixtures("_mugs")
@pytest.mark.parametrize(("accepted", "language"), [("de", "de"), ("fr, de;q=0.5", "de"), ("fr", "en"), ("*", "en")])
def test_the_language_is_one_we_write(client: APIClient, accepted: str, language: str) -> None:
    client.post("/checkout", BODY, format="json", headers={"Accept-Language": accepted})

    assert Checkout.objects.get().language == language


@pytest.mark.usefixtures("_mugs")
def test_starting_again_with_the_same_key_is_the_same_checkout(client: APIClient) -> None:
    first = client.post("/checkout", BODY, format="json", headers={"Idempotency-Key": "k-1"})
    again = client.post("/checkout", BODY, format="json", headers={"Idempotency-Key": "k-1"})

    assert (again.status_code, again.json()) == (201, first.json())
    assert again["Idempotent-Replayed"] == "true"
    assert Checkout.objects.count() == 1


@pytest.mark.usefixtures("_mugs")
def test_starting_again_without_a_key_replaces(client: APIClient) -> None:
    first = client.post("/checkout", BODY, format="json").json()["id"]
    second = client.post("/checkout", BODY, format="json").json()["id"]

    assert client.get(f"/checkout/{first}").json()["status"] == "released"
    assert client.get(f"/checkout/{second}").json()["status"] == "open"
    assert held("MUG") == 2


# --- one checkout -----------------------------------------------------------------------------------------


def test_time_that_is_over_shows_before_the_clock_has_seen_it(client: APIClient, shopper: Caller) -> None:
    view = checkout_in(Status.OPEN, shopper)
    Checkout.objects.update(expires_at=NOW)
    before = list(Checkout.objects.values())

    assert client.get(f"/checkout/{view.offer.checkout_id}").json()["status"] == "expired"
    assert list(Checkout.objects.values()) == before


@pytest.mark.parametrize("current", [Status.OPEN, Status.RELEASED, Status.EXPIRED])
def test_releasing_is_204_again_and_again(client: APIClient, shopper: Caller, current: Status) -> None:
    path = f"/checkout/{checkout_in(current, shopper).offer.checkout_id}"

    answers = [client.delete(path), client.delete(path)]

    assert [(answer.status_code, answer.content) for answer in answers] == [(204, b""), (204, b"")]
    assert held("MUG") == 0


def test_an_ordered_checkout_is_shown_and_not_released(client: APIClient, shopper: Caller) -> None:
    path = f"/checkout/{checkout_in(Status.ORDERED, shopper).offer.checkout_id}"

    response = client.delete(path)

    assert problem(response) == (409, "illegal_transition")
    assert (response.json()["current"], response.json()["wanted"]) == ("ordered", "released")
    assert client.get(path).json()["status"] == "ordered"


def test_a_checkout_survives_its_cart(client: APIClient, shopper: Caller) -> None:
    view = checkout_in(Status.OPEN, shopper)
    clear(caller=shopper, if_version=None, now=NOW)

    assert len(client.get(f"/checkout/{view.offer.checkout_id}").json()["lines"]) == 1


def test_anothers_checkout_does_not_exist(shopper: Caller, stranger: Caller) -> None:
    checkout_id = checkout_in(Status.OPEN, shopper).offer.checkout_id
    client = client_of(stranger)

    refused = [client.get(f"/checkout/{checkout_id}"), client.delete(f"/checkout/{checkout_id}")]

    assert [problem(response) for response in refused] == [(404, "not_found")] * 2
    assert status_of(checkout_id) == Status.OPEN


def test_staff_read_any_checkout_and_release_none(staff: Caller, shopper: Caller) -> None:
    checkout_id = checkout_in(Status.OPEN, shopper).offer.checkout_id
    client = client_of(staff)

    assert client.get(f"/checkout/{checkout_id}").json()["id"] == str(checkout_id)
    assert problem(client.delete(f"/checkout/{checkout_id}")) == (404, "not_found")
    assert status_of(checkout_id) == Status.OPEN


@pytest.mark.parametrize("checkout_id", ["01a20000-0000-7000-8000-000000000000", "not-an-id", "%00"])
@pytest.mark.parametrize("method", ["get", "delete"])
def test_an_unknown_checkout_is_404(client: APIClient, checkout_id: str, method: str) -> None:
    assert problem(getattr(client, method)(f"/checkout/{checkout_id}")) == (404, "not_found")


@pytest.mark.parametrize(
    "path", ["/checkout/shipping-methods?country=DE", "/checkout/01a20000-0000-7000-8000-000000000000"]
)
def test_nobody_without_a_token(path: str) -> None:
    assert APIClient().get(path).status_code == 401
    assert APIClient().post("/checkout", BODY, format="json").status_code == 401


# --- shipping methods -------------------------------------------------------------------------------------


@pytest.mark.parametrize("country", ["DE", "de"])
def test_shipping_methods_of_a_country_cheapest_first(client: APIClient, country: str) -> None:
    services.seed_rates()

    response = client.get(f"/checkout/shipping-methods?country={country}")

    assert response.json() == {
        "results": [
            {
                "code": "standard",
                "name": "Standard delivery",
                "price": {"amount": 490, "currency": "EUR"},
                "free_above": {"amount": 5_000, "currency": "EUR"},
                "estimated_days": "2-3",
            },
            {
                "code": "express",
                "name": "Express delivery",
                "price": {"amount": 990, "currency": "EUR"},
                "free_above": None,
                "estimated_days": "1",
            },
        ]
    }


def test_a_country_nothing_is_sent_to_has_no_methods(client: APIClient) -> None:
    services.seed_rates()

    assert client.get("/checkout/shipping-methods?country=AQ").json() == {"results": []}


@pytest.mark.parametrize(
    ("query", "code"),
    [("", "required"), ("?country=", "blank"), ("?country=XX", "invalid_country"), ("?country=%00", "control")],
)
def test_a_country_must_be_named(client: APIClient, query: str, code: str) -> None:
    assert pointers(client.get(f"/checkout/shipping-methods{query}")) == {"/country": code}
