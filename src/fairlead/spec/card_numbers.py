"""Card numbers (primary account numbers, ISO/IEC 7812-1) in a text: found by the issuers' ranges and the check digit.

No interface of Fairlead takes one: whoever keeps or passes a number on is subject to the whole of PCI DSS, and whoever
hands on tokens to SAQ A alone.
"""

from __future__ import annotations

import re

from fairlead.errors import InvalidArgumentError

# Thirteen to nineteen digits, single spaces or hyphens between them, that are no part of a longer number or word.
_DIGITS = re.compile(r"(?<![\w.+-])(?:\d[ -]?){12,18}\d(?![\w-])", re.ASCII)
#: Issuer's first digits, and the lengths that its numbers have.
_ISSUERS = re.compile(
    "4(?:[0-9]{12}|[0-9]{15}|[0-9]{18})"  # Visa
    "|(?:5[1-5][0-9]{2}|222[1-9]|22[3-9][0-9]|2[3-6][0-9]{2}|27[01][0-9]|2720)[0-9]{12}"  # Mastercard
    "|3[47][0-9]{13}"  # American Express
    "|3(?:0[0-5]|[689][0-9])[0-9]{11}"  # Diners Club
    "|(?:6011|65[0-9]{2}|64[4-9][0-9])[0-9]{12,15}"  # Discover
    "|35(?:2[89]|[3-8][0-9])[0-9]{12,15}"  # JCB
    "|62[0-9]{14,17}"  # UnionPay
)


def has_card_number(text: str) -> bool:
    """Whether a card number stands in a text."""
    return any(is_card_number(found) for found in _DIGITS.findall(text))


def is_card_number(text: str) -> bool:
    """Whether a text is a card number, spaces and hyphens aside."""
    digits = text.replace(" ", "").replace("-", "")
    return _ISSUERS.fullmatch(digits) is not None and _passes_luhn(digits)


def refuse_card_number(text: str, field: str) -> None:
    """Raise `InvalidArgumentError`, naming the field, where a card number stands in a text."""
    if has_card_number(text):
        raise InvalidArgumentError(
            f"{field} has what looks like a card number.",
            hint="Have the vendor's own page or form take it, and pass on the token that it gives.",
        )


def _passes_luhn(digits: str) -> bool:
    """Check the last digit (ISO/IEC 7812-1, annex B)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0
