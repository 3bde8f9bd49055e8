"""An amount of money in the currency's smallest unit."""

from __future__ import annotations

import re
from decimal import MAX_PREC, Context, Decimal, Inexact, InvalidOperation
from typing import Self

import msgspec

from fairlead.errors import InvalidArgumentError

# ISO 4217 (amendment 176): the currencies whose minor unit is not a hundredth.
_DIGITS = {
    **dict.fromkeys(
        ("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF",
         "XOF", "XPF"),
        0,
    ),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}  # fmt: skip

# Shifts the point of any amount, and never rounds it.
_EXACT = Context(prec=MAX_PREC, traps=[Inexact, InvalidOperation])
_MOST_DIGITS = 30
_CODE = re.compile("[A-Z]{3}")


class Money(msgspec.Struct, frozen=True, order=False):
    """`minor` units of `currency`: `Money(1050, "EUR")` is 10.50 EUR, `Money(1050, "JPY")` is 1050 JPY."""

    minor: int
    currency: str

    def __post_init__(self) -> None:
        if type(self.minor) is not int:  # type checkers see it; callers from JSON or the shell may not
            raise InvalidArgumentError("An amount of money is a whole number of minor units.", hint="Use Money.of().")
        if not _CODE.fullmatch(self.currency):
            raise InvalidArgumentError(f"{self.currency!r} is not an ISO 4217 code.", hint="Write it as 'EUR'.")

    @classmethod
    def of(cls, amount: Decimal | str | int, currency: str) -> Self:
        """Read a decimal amount; one with more digits than the currency has is refused, never rounded."""
        try:
            scaled = Decimal(amount).scaleb(minor_digits(currency), _EXACT)
        except ArithmeticError:
            scaled = Decimal("NaN")
        if not scaled.is_finite() or scaled.adjusted() > _MOST_DIGITS:
            raise InvalidArgumentError(f"{amount!r} is not an amount.", hint="Write it as '10.50'.")
        if scaled != int(scaled):
            raise InvalidArgumentError(
                f"{amount} has more decimals than {currency} has.", hint="Round it where you know the rule."
            )
        return cls(int(scaled), currency)

    @property
    def amount(self) -> Decimal:
        """The decimal amount."""
        return Decimal(self.minor).scaleb(-minor_digits(self.currency), _EXACT)

    def __str__(self) -> str:
        return f"{self.amount} {self.currency}"

    def __add__(self, other: Money) -> Money:
        return Money(self.minor + self._same(other), self.currency)

    def __sub__(self, other: Money) -> Money:
        return Money(self.minor - self._same(other), self.currency)

    def _same(self, other: Money) -> int:
        if other.currency != self.currency:
            raise InvalidArgumentError(f"{self.currency} and {other.currency} cannot be added.", hint="Convert first.")
        return other.minor


def minor_digits(currency: str) -> int:
    """Return how many decimals a currency has."""
    return _DIGITS.get(currency, 2)
