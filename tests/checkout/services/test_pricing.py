"""The arithmetic: nothing is lost, nothing is invented, in any currency."""

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkout.services.pricing import (
    Item,
    goods_value,
    priced_lines,
    quote_hash,
    tax_within,
    totals_of,
)
from shop.catalog.dto import Offer
from shop.kernel.money import Money, total
from shop.kernel.priced import PricedLine
from tests.checkout.factories import ADDRESS

RATES = {"standard": 190_000, "reduced": 70_000, "zero": 0}

currencies = st.sampled_from(["EUR", "JPY", "KWD"])
amounts = st.integers(min_value=0, max_value=1_000_000_000_000)
rates = st.fixed_dictionaries({"standard": st.integers(0, 1_000_000)}, optional={"reduced": st.integers(0, 1_000_000)})


def offer(price: Money, *, tax_class: str = "standard", sku: str = "MUG") -> Offer:
    return Offer(sku=sku, name=f"The {sku}", image_url="", category="", tax_class=tax_class, price=price, available=5)


@st.composite
def baskets(draw: st.DrawFn) -> tuple[str, list[Item], Money]:
    currency = draw(currencies)
    items = [
        Item(
            offer=offer(
                Money(draw(amounts), currency),
                tax_class=draw(st.sampled_from(["standard", "reduced", "zero"])),
                sku=f"SKU-{place}",
            ),
            quantity=draw(st.integers(1, 999)),
        )
        for place in range(draw(st.integers(1, 8)))
    ]
    return currency, items, Money(draw(amounts), currency)


@given(baskets(), rates)
def test_the_sums_are_the_sums_of_the_lines(basket: tuple[str, list[Item], Money], rates_ppm: dict[str, int]) -> None:
    currency, items, shipping = basket

    lines = priced_lines(items, rates_ppm=rates_ppm)
    totals = totals_of(lines, shipping=shipping, rates_ppm=rates_ppm)

    assert totals.total == totals.subtotal - totals.discount + totals.shipping
    assert total((line.line_total for line in lines), currency=currency) == totals.subtotal - totals.discount
    assert goods_value(items, currency=currency) == totals.subtotal
    assert totals.shipping == shipping
    assert totals.tax - total((line.tax for line in lines), currency=currency) == tax_within(
        shipping, rate_ppm=rates_ppm["standard"]
    )
    assert Money.zero(currency) <= totals.tax <= totals.total


@given(baskets(), rates)
def test_every_line_keeps_its_article_its_units_and_its_price(
    basket: tuple[str, list[Item], Money], rates_ppm: dict[str, int]
) -> None:
    _, items, _ = basket

    lines = priced_lines(items, rates_ppm=rates_ppm)

    assert [(line.sku, line.quantity, line.unit_price) for line in lines] == [
        (item.offer.sku, item.quantity, item.offer.price) for item in items
    ]
    assert all(line.line_total == line.unit_price * line.quantity - line.discount for line in lines)


@given(amounts, st.integers(0, 1_000_000), currencies)
def test_the_tax_of_a_price_is_off_by_half_a_minor_unit_at_most(amount: int, rate_ppm: int, currency: str) -> None:
    exact = Fraction(amount * rate_ppm, 1_000_000 + rate_ppm)

    tax = tax_within(Money(amount, currency), rate_ppm=rate_ppm)

    assert abs(tax.amount - exact) <= Fraction(1, 2)
    assert tax.currency == currency


@pytest.mark.parametrize(
    ("gross", "rate_ppm", "tax"),
    [
        (Money(11_900, "EUR"), 190_000, 1_900),
        (Money(1_070, "EUR"), 70_000, 70),
        (Money(999, "EUR"), 55_000, 52),
        (Money(110, "JPY"), 100_000, 10),
        (Money(1, "JPY"), 100_000, 0),
        (Money(1_050_000, "KWD"), 50_000, 50_000),
        (Money(5_000, "EUR"), 0, 0),
        # Half a cent goes to the even neighbour: 3/2 = 1.5 -> 2, 5/2 = 2.5 -> 2.
        (Money(3, "EUR"), 1_000_000, 2),
        (Money(5, "EUR"), 1_000_000, 2),
    ],
)
def test_known_taxes(gross: Money, rate_ppm: int, tax: int) -> None:
    assert tax_within(gross, rate_ppm=rate_ppm) == Money(tax, gross.currency)


def test_tax_is_rounded_once_a_line_not_once_a_unit() -> None:
    [line] = priced_lines([Item(offer(Money(3, "EUR")), 100)], rates_ppm=RATES)

    assert line.tax == Money(48, "EUR")


def test_articles_are_taxed_by_their_class_and_unknown_classes_as_standard() -> None:
    items = [
        Item(offer(Money(11_900, "EUR"), tax_class=tax_class), 1)
        for tax_class in ("standard", "reduced", "zero", "unheard_of")
    ]

    assert [line.tax.amount for line in priced_lines(items, rates_ppm=RATES)] == [1_900, 779, 0, 1_900]


def test_shipping_contains_standard_tax_whatever_the_goods_are() -> None:
    lines = priced_lines([Item(offer(Money(1_070, "EUR"), tax_class="reduced"), 1)], rates_ppm=RATES)

    totals = totals_of(lines, shipping=Money(1_190, "EUR"), rates_ppm=RATES)

    assert (totals.subtotal.amount, totals.shipping.amount, totals.total.amount) == (1_070, 1_190, 2_260)
    assert totals.tax == Money(70 + 190, "EUR")


def fingerprint(lines: tuple[PricedLine, ...], *, method: str = "standard", city: str = "Berlin") -> str:
    return quote_hash(
        lines=lines,
        totals=totals_of(lines, shipping=Money(490, "EUR"), rates_ppm=RATES),
        shipping_method=method,
        shipping_address={**ADDRESS, "city": city},
        billing_address=ADDRESS,
    )


def test_the_same_offer_has_the_same_fingerprint_in_whatever_order_an_address_is_written() -> None:
    lines = priced_lines([Item(offer(Money(1_000, "EUR")), 2)], rates_ppm=RATES)
    turned = dict(reversed(ADDRESS.items()))

    first = fingerprint(lines)
    again = quote_hash(
        lines=lines,
        totals=totals_of(lines, shipping=Money(490, "EUR"), rates_ppm=RATES),
        shipping_method="standard",
        shipping_address=turned,
        billing_address=turned,
    )

    assert first == again
    assert len(first) == 64


def test_whatever_differs_in_the_offer_changes_the_fingerprint() -> None:
    lines = priced_lines([Item(offer(Money(1_000, "EUR")), 2)], rates_ppm=RATES)
    dearer = tuple(replace(line, unit_price=Money(1_001, "EUR")) for line in lines)
    fewer = tuple(replace(line, quantity=1) for line in lines)
    other = tuple(replace(line, sku="TEA") for line in lines)
    taxed = tuple(replace(line, tax=Money(1, "EUR")) for line in lines)

    fingerprints = [
        fingerprint(lines),
        fingerprint(dearer),
        fingerprint(fewer),
        fingerprint(other),
        fingerprint(taxed),
        fingerprint(lines, method="express"),
        fingerprint(lines, city="Bern"),
    ]

    assert len(set(fingerprints)) == len(fingerprints)
