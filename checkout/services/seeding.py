"""Shipping and tax to begin with: five countries, prices in euros."""

from datetime import date

from checkout.models import ShippingMethod, TaxRate
from shop.catalog.dto import TaxClass
from shop.kernel.transactions import unit_of_work

_CURRENCY = "EUR"
# country, code, name, price, free above, days
_METHODS: tuple[tuple[str, str, str, int, int | None, str], ...] = (
    ("DE", "standard", "Standard delivery", 490, 5_000, "2-3"),
    ("DE", "express", "Express delivery", 990, None, "1"),
    ("FR", "standard", "Standard delivery", 790, 8_000, "3-5"),
    ("FR", "express", "Express delivery", 1_490, None, "1-2"),
    ("GB", "standard", "Standard delivery", 990, 12_000, "4-6"),
    ("GB", "express", "Express delivery", 1_990, None, "2-3"),
    ("US", "standard", "Standard delivery", 1_490, 15_000, "7-12"),
    ("US", "express", "Express delivery", 3_490, None, "3-5"),
    ("JP", "standard", "Standard delivery", 1_690, 18_000, "8-14"),
)
# country, standard, reduced (books, food), in millionths
_RATES = (
    ("DE", 190_000, 70_000),
    ("FR", 200_000, 55_000),
    ("GB", 200_000, 0),
    ("US", 0, 0),
    ("JP", 100_000, 80_000),
)
_VALID_FROM = date(2021, 1, 1)


@unit_of_work
def seed_rates() -> None:
    """Add the shipping methods and tax rates that are missing; what the shop has edited stays as it is."""
    ShippingMethod.objects.bulk_create(
        (
            ShippingMethod(
                country=country,
                code=code,
                name=name,
                currency=_CURRENCY,
                price_minor=price,
                free_above_minor=free_above,
                estimated_days=days,
            )
            for country, code, name, price, free_above, days in _METHODS
        ),
        ignore_conflicts=True,
    )
    TaxRate.objects.bulk_create(
        (
            TaxRate(country=country, tax_class=tax_class, rate_ppm=rate, valid_from=_VALID_FROM)
            for country, standard, reduced in _RATES
            for tax_class, rate in ((TaxClass.STANDARD, standard), (TaxClass.REDUCED, reduced), (TaxClass.ZERO, 0))
        ),
        ignore_conflicts=True,
    )
