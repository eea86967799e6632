import pytest
from django.test import Client

from checkout.models import Checkout, ShippingMethod, TaxRate
from checkout.services import seed_rates
from checkout.states import Status
from shop.kernel.auth.dto import Caller
from shop.kernel.ids import new_id
from tests.checkout.factories import checkout_in

pytestmark = pytest.mark.django_db

LIST = "/admin/checkout/checkout/"


def test_a_checkout_is_found_by_its_id_and_its_shopper(support: Client, shopper: Caller, stranger: Caller) -> None:
    mine = checkout_in(Status.OPEN, shopper).offer.checkout_id
    theirs = checkout_in(Status.RELEASED, stranger).offer.checkout_id

    def found(**query: str) -> set[object]:
        return {checkout.id for checkout in support.get(LIST, query).context["cl"].result_list}

    assert found() == {mine, theirs}
    assert found(q=str(mine)) == {mine}
    assert found(q=f" {stranger.id} ") == {theirs}
    assert found(q=str(new_id())) == set()
    assert found(q="ada@example.com") == set()
    assert found(status="released") == {theirs}


def test_a_checkout_shows_its_money_and_is_not_changed(support: Client, shopper: Caller) -> None:
    path = f"{LIST}{checkout_in(Status.OPEN, shopper).offer.checkout_id}/change/"

    page = support.get(path)
    changed = support.post(path, {"total_minor": 1})
    deleted = support.post(path.replace("change", "delete"), {"post": "yes"})
    added = support.get(f"{LIST}add/")

    written = page.content.decode()
    assert [response.status_code for response in (page, changed, deleted, added)] == [200, 403, 403, 403]
    assert "2 x The MUG (MUG): 20.00 EUR" in written
    for amount in ("20.00 EUR", "0.00 EUR", "4.90 EUR", "3.97 EUR", "24.90 EUR"):
        assert amount in written
    assert Checkout.objects.get().total_minor == 2_490


def test_the_shop_keeps_its_rates(support: Client) -> None:
    seed_rates()
    method = ShippingMethod.objects.get(country="DE", code="standard")

    saved = support.post(
        f"/admin/checkout/shippingmethod/{method.id}/change/",
        {
            "country": "DE",
            "code": "standard",
            "name": "By bicycle",
            "currency": "EUR",
            "price_minor": 390,
            "free_above_minor": "",
            "estimated_days": "1",
        },
    )
    added = support.post(
        "/admin/checkout/taxrate/add/",
        {"country": "DE", "tax_class": "standard", "rate_ppm": 160_000, "valid_from": "2027-01-01"},
    )

    method.refresh_from_db()
    assert (saved.status_code, added.status_code) == (302, 302)
    assert (method.name, method.price_minor, method.free_above_minor) == ("By bicycle", 390, None)
    assert TaxRate.objects.filter(country="DE", tax_class="standard").count() == 2
