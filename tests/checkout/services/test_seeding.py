import pytest

from checkout.models import ShippingMethod, TaxRate
from checkout.queries import shipping_options
from checkout.services import seed_rates

pytestmark = pytest.mark.django_db


def test_five_countries_are_served() -> None:
    seed_rates()

    offered = {country: [option.code for option in shipping_options(country=country)] for country in
               ("DE", "FR", "GB", "US", "JP")}  # fmt: skip
    assert offered == {
        "DE": ["standard", "express"],
        "FR": ["standard", "express"],
        "GB": ["standard", "express"],
        "US": ["standard", "express"],
        "JP": ["standard"],
    }
    rates = TaxRate.objects.filter(tax_class__in=["standard", "reduced"]).order_by("-tax_class")
    assert {country: [rate.rate_ppm for rate in rates if rate.country == country] for country in offered} == {
        "DE": [190_000, 70_000],
        "FR": [200_000, 55_000],
        "GB": [200_000, 0],
        "US": [0, 0],
        "JP": [100_000, 80_000],
    }


def test_seeding_again_changes_nothing_not_even_what_the_shop_has_edited() -> None:
    seed_rates()
    ShippingMethod.objects.filter(country="DE", code="standard").update(price_minor=1)
    TaxRate.objects.filter(country="DE", tax_class="standard").update(rate_ppm=2)
    before = (list(ShippingMethod.objects.values()), list(TaxRate.objects.values()))

    seed_rates()

    assert (list(ShippingMethod.objects.values()), list(TaxRate.objects.values())) == before
