import pytest
from django.test import Client

from cart.models import Cart
from shop.kernel.auth.dto import Caller
from shop.kernel.ids import new_id
from tests.cart.factories import filled, on_sale

pytestmark = pytest.mark.django_db

LIST = "/admin/cart/cart/"


def test_a_cart_is_found_by_its_shopper(support: Client, shopper: Caller, stranger: Caller) -> None:
    on_sale("MUG")
    filled(shopper, MUG=1)
    filled(stranger, MUG=1)

    def found(term: str) -> set[object]:
        return {cart.id for cart in support.get(LIST, {"q": term}).context["cl"].result_list}

    assert found("") == {shopper.id, stranger.id}
    assert found(f" {shopper.id} ") == {shopper.id}
    assert found(str(new_id())) == set()
    assert found("mug") == set()


def test_a_cart_shows_its_articles_and_is_not_changed(support: Client, shopper: Caller) -> None:
    on_sale("MUG", price=1_250)
    filled(shopper, MUG=3)
    path = f"{LIST}{shopper.id}/change/"

    page = support.get(path)
    changed = support.post(path, {"currency": "JPY"})
    deleted = support.post(f"{LIST}{shopper.id}/delete/", {"post": "yes"})
    added = support.get(f"{LIST}add/")

    assert "3 x The MUG (MUG) at 12.50 EUR" in page.content.decode()
    assert [response.status_code for response in (page, changed, deleted, added)] == [200, 403, 403, 403]
    assert Cart.objects.get().currency == "EUR"
