"""What the database itself refuses, whatever the code believes."""

import pytest
from django.db import IntegrityError, transaction

from cart.models import Cart, CartLine
from shop.kernel.ids import new_id
from tests.cart.factories import NOW

pytestmark = pytest.mark.django_db


@pytest.fixture
def cart() -> Cart:
    return Cart.objects.create(id=new_id(), currency="EUR", version=1, updated_at=NOW)


@pytest.mark.parametrize(
    ("wrong", "constraint"),
    [
        ({"quantity": 0}, "cart_line_quantity"),
        ({"quantity": 1_000}, "cart_line_quantity"),
        ({"unit_price_seen": -1}, "cart_line_price"),
    ],
)
def test_a_line_that_cannot_be_is_refused(cart: Cart, wrong: dict[str, int], constraint: str) -> None:
    line = {"cart": cart, "sku": "MUG", "name": "Mug", "quantity": 1, "unit_price_seen": 1, "added_at": NOW}

    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        CartLine.objects.create(**(line | wrong))


def test_an_article_has_one_line(cart: Cart) -> None:
    line = CartLine(cart=cart, sku="MUG", name="Mug", quantity=1, unit_price_seen=1, added_at=NOW)
    line.save(force_insert=True)

    with pytest.raises(IntegrityError, match="cart_line_pkey"), transaction.atomic():
        line.save(force_insert=True)

    assert str(line) == "1 x MUG"
    assert str(cart) == str(cart.id)
