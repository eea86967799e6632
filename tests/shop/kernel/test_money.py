"""Money: exact, one currency at a time, and nothing is lost when it is parted."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as some

from shop.kernel.money import CurrencyMismatch, Money, exponent, total

CURRENCIES = some.sampled_from(["EUR", "USD", "JPY", "KWD", "GBP", "CLP", "TND"])
AMOUNTS = some.integers(min_value=-(10**15), max_value=10**15)
OWED = some.integers(min_value=0, max_value=10**12)


def test_currencies_have_their_own_exponents() -> None:
    assert (exponent("EUR"), exponent("JPY"), exponent("KWD")) == (2, 0, 3)


@pytest.mark.parametrize("code", ["", "eur", "EURO", "XXX", "BTC"])
def test_an_unknown_currency_is_refused(code: str) -> None:
    with pytest.raises(ValueError, match="is not an ISO 4217 currency code"):
        exponent(code)
    with pytest.raises(ValueError, match="is not an ISO 4217 currency code"):
        Money(1, code)


@pytest.mark.parametrize("amount", [1.0, 0.1, "1", True, Decimal(1), None])
def test_only_integers_are_amounts(amount: object) -> None:
    with pytest.raises(TypeError, match="integer minor units"):
        Money(amount, "EUR")  # type: ignore[arg-type]  # what must be refused


@pytest.mark.parametrize(
    ("minor", "currency", "written"), [(1999, "EUR", "19.99 EUR"), (500, "JPY", "500 JPY"), (-5, "KWD", "-0.005 KWD")]
)
def test_money_is_written_in_major_units(minor: int, currency: str, written: str) -> None:
    assert str(Money(minor, currency)) == written


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [("19.99", "EUR", 1999), ("19", "EUR", 1900), ("500", "JPY", 500), ("1.234", "KWD", 1234), ("-0.01", "USD", -1)],
)
def test_major_units_are_read(text: str, currency: str, minor: int) -> None:
    assert Money.from_major(text, currency) == Money(minor, currency)


@pytest.mark.parametrize(
    ("text", "currency"),
    [
        ("19.999", "EUR"),
        ("0.5", "JPY"),
        ("", "EUR"),
        ("ten", "EUR"),
        ("NaN", "EUR"),
        ("Infinity", "EUR"),
        ("1e999999", "EUR"),
        ("1", "XYZ"),
    ],
)
def test_what_is_no_amount_is_refused(text: str, currency: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Money.from_major(text, currency)


@given(amount=AMOUNTS, currency=CURRENCIES)
def test_major_units_lead_back_to_the_same_money(amount: int, currency: str) -> None:
    money = Money(amount, currency)

    assert Money.from_major(str(money.major()), currency) == money


@given(one=AMOUNTS, other=AMOUNTS, factor=some.integers(-1000, 1000))
def test_it_calculates_like_integers(one: int, other: int, factor: int) -> None:
    left, right = Money(one, "EUR"), Money(other, "EUR")

    assert left + right == Money(one + other, "EUR")
    assert left - right == Money(one - other, "EUR")
    assert left * factor == Money(one * factor, "EUR")
    assert -left == Money(-one, "EUR")
    assert bool(left) == bool(one)
    assert (left < right, left <= right, left > right, left >= right) == (
        one < other,
        one <= other,
        one > other,
        one >= other,
    )


def test_currencies_do_not_mix() -> None:
    euro, dollar = Money(1, "EUR"), Money(1, "USD")

    for mixing in (
        lambda: euro + dollar,
        lambda: euro - dollar,
        lambda: euro < dollar,
        lambda: euro <= dollar,
        lambda: total([euro, dollar], currency="EUR"),
    ):
        with pytest.raises(CurrencyMismatch):
            mixing()


@pytest.mark.parametrize("factor", [1.5, "2", True])
def test_only_whole_numbers_multiply(factor: object) -> None:
    with pytest.raises(TypeError, match="whole numbers"):
        Money(1, "EUR") * factor  # type: ignore[operator]  # what must be refused


def test_a_sum_of_nothing_is_zero_of_its_currency() -> None:
    assert total([], currency="JPY") == Money.zero("JPY")


@given(amounts=some.lists(AMOUNTS, max_size=30))
def test_a_total_is_the_sum(amounts: list[int]) -> None:
    assert total([Money(amount, "EUR") for amount in amounts], currency="EUR").amount == sum(amounts)


def test_a_split_keeps_the_remainder() -> None:
    assert [part.amount for part in Money(1000, "EUR").split(3)] == [334, 333, 333]


@given(amount=AMOUNTS, parts=some.integers(1, 100))
def test_a_split_loses_nothing_and_is_even(amount: int, parts: int) -> None:
    split = [part.amount for part in Money(amount, "EUR").split(parts)]

    assert len(split) == parts
    assert sum(split) == amount
    assert max(split) - min(split) <= 1


@pytest.mark.parametrize("parts", [0, -1])
def test_money_is_not_split_into_nothing(parts: int) -> None:
    with pytest.raises(ValueError, match="one part or more"):
        Money(1, "EUR").split(parts)


@given(amount=AMOUNTS, weights=some.lists(some.integers(0, 10**6), min_size=1, max_size=30).filter(any))
def test_an_allocation_loses_nothing_and_gives_nothing_to_weight_zero(amount: int, weights: list[int]) -> None:
    parts = [part.amount for part in Money(amount, "EUR").allocate(weights)]

    assert sum(parts) == amount
    assert all(part == 0 for part, weight in zip(parts, weights, strict=True) if weight == 0)
    assert all(
        abs(part - Decimal(amount) * weight / sum(weights)) <= 1 for part, weight in zip(parts, weights, strict=True)
    )


@pytest.mark.parametrize("weights", [[0, 0], [-1, 2], [3, -1]])
def test_weights_that_mean_nothing_are_refused(weights: list[int]) -> None:
    with pytest.raises(ValueError, match="not negative and not all zero"):
        Money(100, "EUR").allocate(weights)


@pytest.mark.parametrize(
    ("amount", "numerator", "denominator", "expected"),
    [(100, 19, 119, 16), (5, 1, 2, 2), (15, 1, 2, 8), (7, 1, 2, 4), (0, 1, 3, 0), (1, 1, 3, 0), (2, 1, 3, 1)],
)
def test_a_share_is_rounded_half_to_even(amount: int, numerator: int, denominator: int, expected: int) -> None:
    assert Money(amount, "EUR").share(numerator=numerator, denominator=denominator) == Money(expected, "EUR")


@given(amount=OWED, numerator=some.integers(0, 10**6), denominator=some.integers(1, 10**6))
def test_a_share_is_never_off_by_more_than_half(amount: int, numerator: int, denominator: int) -> None:
    share = Money(amount, "EUR").share(numerator=numerator, denominator=denominator)

    assert abs(share.amount - Fraction(amount * numerator, denominator)) <= Fraction(1, 2)
