"""Money: integer minor units and an ISO 4217 currency with its own exponent. Floats are refused."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Self

# ISO 4217, list one: the exponents that are not 2, and the codes whose exponent is.
_EXPONENTS = (
    dict.fromkeys("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(), 0)
    | dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3)
    | dict.fromkeys(
        """AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF
        CNY COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG
        HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU
        MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR
        SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VES
        WST XCD YER ZAR ZMW ZWG""".split(),
        2,
    )
)


class CurrencyMismatch(ArithmeticError):
    """Two amounts of different currencies met in one calculation."""


def exponent(currency: str) -> int:
    """Return how many minor digits a currency has: EUR 2, JPY 0, KWD 3. ValueError for an unknown code."""
    try:
        return _EXPONENTS[currency]
    except KeyError:
        raise ValueError(f"{currency!r} is not an ISO 4217 currency code.") from None


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in minor units (cents, yen, fils) of one currency."""

    amount: int
    currency: str

    def __post_init__(self) -> None:
        if type(self.amount) is not int:
            raise TypeError(f"Money takes integer minor units, not {self.amount!r}.")
        if self.currency not in _EXPONENTS:
            raise ValueError(f"{self.currency!r} is not an ISO 4217 currency code.")

    @classmethod
    def zero(cls, currency: str) -> Self:
        """Return nothing, in this currency."""
        return cls(0, currency)

    @classmethod
    def from_major(cls, text: str, currency: str) -> Self:
        """Read a decimal such as `"19.99"`; ValueError when it has more digits than the currency knows."""
        try:
            minor = Decimal(text).scaleb(exponent(currency))
            if minor != minor.to_integral_value():
                raise ValueError(f"{text!r} has more decimals than {currency} knows.")
            return cls(int(minor), currency)
        except ArithmeticError:
            raise ValueError(f"{text!r} is not an amount.") from None

    def major(self) -> Decimal:
        """Return the amount in major units, exactly."""
        return Decimal(self.amount).scaleb(-exponent(self.currency))

    def __str__(self) -> str:
        return f"{self.major()} {self.currency}"

    def __add__(self, other: Self) -> Self:
        return self._with(self.amount + self._same_currency(other))

    def __sub__(self, other: Self) -> Self:
        return self._with(self.amount - self._same_currency(other))

    def __mul__(self, factor: int) -> Self:
        if type(factor) is not int:
            raise TypeError(f"Money is multiplied by whole numbers only, not by {factor!r}.")
        return self._with(self.amount * factor)

    def __neg__(self) -> Self:
        return self._with(-self.amount)

    def __bool__(self) -> bool:
        return self.amount != 0

    def __lt__(self, other: Self) -> bool:
        return self.amount < self._same_currency(other)

    def __le__(self, other: Self) -> bool:
        return self.amount <= self._same_currency(other)

    def __gt__(self, other: Self) -> bool:
        return self.amount > self._same_currency(other)

    def __ge__(self, other: Self) -> bool:
        return self.amount >= self._same_currency(other)

    def share(self, *, numerator: int, denominator: int) -> Self:
        """Return `numerator/denominator` of this amount, rounded once, half to even."""
        quotient, remainder = divmod(self.amount * numerator, denominator)
        doubled = 2 * remainder
        if doubled > denominator or (doubled == denominator and quotient % 2 == 1):
            quotient += 1
        return self._with(quotient)

    def split(self, parts: int) -> list[Self]:
        """Part the amount so that nothing is lost: 1000 in three is 334, 333, 333. ValueError for no part."""
        if parts < 1:
            raise ValueError("Money is split into one part or more.")
        return self.allocate([1] * parts)

    def allocate(self, weights: Sequence[int]) -> list[Self]:
        """Part the amount in proportion to `weights`; what rounding leaves goes to the first that share.

        ValueError for a weight below zero, and for nothing but zeros.
        """
        whole = sum(weights)
        if whole <= 0 or min(weights) < 0:
            raise ValueError("Weights are not negative and not all zero.")
        parts = [self.amount * weight // whole for weight in weights]
        sharing = [place for place, weight in enumerate(weights) if weight]
        for place in sharing[: self.amount - sum(parts)]:
            parts[place] += 1
        return [self._with(part) for part in parts]

    def _same_currency(self, other: Self) -> int:
        if self.currency != other.currency:
            raise CurrencyMismatch(f"{self.currency} and {other.currency} do not mix.")
        return other.amount

    def _with(self, amount: int) -> Self:
        return type(self)(amount, self.currency)


def total(amounts: Iterable[Money], *, currency: str) -> Money:
    """Sum amounts of one currency; an empty sum is zero of it."""
    return sum(amounts, Money.zero(currency))
