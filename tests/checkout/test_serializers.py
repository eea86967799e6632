import pytest

from checkout.queries import shipping_options
from checkout.serializers import (
    CheckoutSchema,
    ShippingMethodSchema,
    checkout_json,
    shipping_option_json,
)
from checkout.services import seed_rates
from checkout.states import Status
from shop.kernel.auth.dto import Caller
from shop.kernel.http.priced import PricedLineSchema, TotalsSchema
from shop.kernel.http.serializers import MoneySchema
from tests.checkout.factories import checkout_in

pytestmark = pytest.mark.django_db


def test_a_checkout_is_written_with_the_keys_the_schema_names(shopper: Caller) -> None:
    written = checkout_json(checkout_in(Status.OPEN, shopper))

    assert list(written) == list(CheckoutSchema().fields)
    assert list(written["lines"][0]) == list(PricedLineSchema().fields)
    assert list(written["totals"]) == list(TotalsSchema().fields)
    assert list(written["totals"]["total"]) == list(MoneySchema().fields)


def test_a_shipping_method_is_written_with_the_keys_the_schema_names() -> None:
    seed_rates()

    written = shipping_option_json(shipping_options(country="DE")[0])

    assert list(written) == list(ShippingMethodSchema().fields)
