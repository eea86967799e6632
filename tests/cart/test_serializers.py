import pytest

from cart.queries import cart_of
from cart.serializers import CartLineSchema, CartSchema, CartWarningSchema, cart_json
from shop.kernel.auth.dto import Caller
from shop.kernel.http.serializers import MoneySchema
from tests.cart.factories import filled, on_sale, stocked

pytestmark = pytest.mark.django_db


def test_what_is_written_has_the_keys_the_schema_names(shopper: Caller) -> None:
    on_sale("MUG")
    filled(shopper, MUG=2)
    stocked("MUG", 1)

    written = cart_json(cart_of(user_id=shopper.id))

    assert list(written) == list(CartSchema().fields)
    assert list(written["lines"][0]) == list(CartLineSchema().fields)
    assert list(written["warnings"][0]) == list(CartWarningSchema().fields)
    assert list(written["subtotal"]) == list(MoneySchema().fields)
