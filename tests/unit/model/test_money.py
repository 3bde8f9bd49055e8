from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.errors import InvalidArgumentError
from fairlead.model.money import Money, minor_digits

CURRENCIES = ("EUR", "JPY", "BHD", "CLF")
currencies = st.sampled_from(CURRENCIES)
amounts = st.integers(min_value=-(10**30) + 1, max_value=10**30 - 1)


@pytest.mark.parametrize(("currency", "digits"), [("EUR", 2), ("JPY", 0), ("BHD", 3), ("CLF", 4), ("XYZ", 2)])
def test_digits_of_a_currency(currency: str, digits: int) -> None:
    assert minor_digits(currency) == digits


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [("10.50", "EUR", 1050), ("10.5", "EUR", 1050), (10, "EUR", 1000), ("1050", "JPY", 1050), ("1.234", "BHD", 1234),
     (Decimal("-0.01"), "EUR", -1), ("1e3", "EUR", 100_000), ("1.000", "JPY", 1), ("0", "EUR", 0)],
)  # fmt: skip
def test_an_amount_is_read(amount: Any, currency: str, minor: int) -> None:
    assert Money.of(amount, currency) == Money(minor, currency)


@pytest.mark.parametrize(("amount", "currency"), [("1.005", "EUR"), ("0.5", "JPY"), ("1.2345", "BHD"), (1.1, "EUR")])
def test_an_amount_is_never_rounded(amount: Any, currency: str) -> None:
    with pytest.raises(InvalidArgumentError, match="more decimals"):
        Money.of(amount, currency)


@pytest.mark.parametrize("amount", ["", "ten", "1,50", "nan", "snan", "inf", "-Infinity", "1e99999999999", "1e40"])
def test_what_is_no_amount_is_refused(amount: str) -> None:
    with pytest.raises(InvalidArgumentError, match="is not an amount"):
        Money.of(amount, "EUR")


@pytest.mark.parametrize("minor", [10.5, True, "10", None, Decimal(10)])
def test_minor_units_are_whole(minor: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="whole number"):
        Money(minor, "EUR")


@pytest.mark.parametrize("currency", ["eur", "EU", "EURO", "", "E1R", "ÉUR", "E R", "EUR\n"])
def test_a_currency_is_three_capitals(currency: str) -> None:
    with pytest.raises(InvalidArgumentError, match="ISO 4217"):
        Money(1, currency)


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [(1050, "EUR", "10.50 EUR"), (1050, "JPY", "1050 JPY"), (-5, "EUR", "-0.05 EUR"), (1, "BHD", "0.001 BHD")],
)
def test_the_text_has_the_decimals_of_the_currency(minor: int, currency: str, text: str) -> None:
    assert str(Money(minor, currency)) == text


@given(amounts, currencies)
def test_the_amount_leads_back(minor: int, currency: str) -> None:
    money = Money(minor, currency)
    assert Money.of(money.amount, currency) == money
    assert Money.of(str(money).split()[0], currency) == money


@given(amounts, amounts, currencies)
def test_sums_are_those_of_the_minor_units(one: int, other: int, currency: str) -> None:
    total = Money(one, currency) + Money(other, currency)
    assert total.minor == one + other
    assert total - Money(other, currency) == Money(one, currency)


@pytest.mark.parametrize("sign", [Money.__add__, Money.__sub__])
def test_currencies_do_not_mix(sign: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="EUR and JPY"):
        sign(Money(1, "EUR"), Money(1, "JPY"))
