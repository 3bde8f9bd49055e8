"""Conversions between JSON's scalars that lose nothing: what a vendor meant can be said in the type that was declared.

Each takes a value and returns it converted, or None where that cannot be done without a guess. A float stands as the
text that came (`msgspec.Raw`), so that no digit is lost on the way.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, TypeAlias

import msgspec

Convert: TypeAlias = Callable[[Any], Any]

# As JSON writes them (RFC 8259 §6): no plus, no leading zero, so that an id such as 007 is not taken for a number.
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
# A number such as 1e999999999 would fill the memory as an integer.
_MOST_DIGITS = 30
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False}


def to_int(value: Any) -> int | None:
    """Convert `"12"`, `12.0` and `1e2`."""
    if isinstance(value, str):
        return int(value) if len(value) <= _MOST_DIGITS and _INTEGER.fullmatch(value) else None
    if not isinstance(value, msgspec.Raw):
        return None
    number = Decimal(text_of(value))
    is_whole = number.adjusted() < _MOST_DIGITS and number == number.to_integral_value()
    return int(number) if is_whole else None


def to_float(value: Any) -> msgspec.Raw | None:
    """Convert `"1.50"`; not a text with more digits than a float holds."""
    if not isinstance(value, str) or len(value) > _MOST_DIGITS or not _NUMBER.fullmatch(value):
        return None
    return msgspec.Raw(value) if Decimal(repr(float(value))) == Decimal(value) else None


def to_text(value: Any) -> str | None:
    """Convert a number, digit by digit as it came."""
    if isinstance(value, msgspec.Raw):
        return text_of(value)
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def to_bool(value: Any) -> bool | None:
    """Convert 0, 1, and the texts `true`, `false`, `1` and `0`."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    return _BOOLEANS.get(str(value).lower())


def to_member(members: Sequence[Any]) -> Convert:
    """Return what converts a number or its text to the member of an enumeration that reads the same."""
    by_text = {str(each): each for each in members if isinstance(each, int | str) and not isinstance(each, bool)}

    def convert(value: Any) -> Any:
        return by_text.get(str(value)) if isinstance(value, int | str) and not isinstance(value, bool) else None

    return convert


def text_of(number: msgspec.Raw) -> str:
    """Return a float's text."""
    return bytes(number).decode()
