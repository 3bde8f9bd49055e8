"""Card numbers (primary account numbers, ISO/IEC 7812-1) in a text: found by the issuers' ranges and the check digit.

No interface of Fairlead takes one: whoever keeps or passes a number on is subject to the whole of PCI DSS, and whoever
hands on tokens to SAQ A alone.

One in forty numbers of sixteen digits looks like one by chance: an order's, a message's. So where a text is not about
payments, only what is called a card's number, or is written in groups of four as on a card, counts as one.
"""

from __future__ import annotations

import re

from fairlead.errors import InvalidArgumentError

# What no text without a card number has, for most texts are without.
_SUSPECT = re.compile(r"\d(?:(?:[ +-]|%2[0bBdD])?\d){12}", re.ASCII)
# Thirteen to nineteen digits, single spaces or hyphens between them, that are no part of a longer number or word.
_DIGITS = re.compile(r"(?<![\w.+-])(?:\d[ -]?){12,18}\d(?![\w-])", re.ASCII)
_ESCAPED = re.compile("%([0-7][0-9A-Fa-f])")
_SPACED = re.compile(r"(?<=\d)\+(?=\d)", re.ASCII)
_GROUPED = re.compile(r"(?:\d{4}[ -]){3}\d{1,7}|\d{4}[ -]\d{6}[ -]\d{4,5}", re.ASCII)
# The name of the field that a text is the value of: `card[number]=`, `"number": "`.
_FIELD = re.compile(r"([\w\[\]. -]{1,60})\\?[\"']?\s{0,4}[:=]\s{0,4}\\?[\"']?\Z", re.ASCII)
_NAMES_CARD = re.compile(r"card|\bcc|pan\b|credit|debit|account_?num|\bnumber", re.IGNORECASE)
#: How much of a text the name of a field and a number can take.
LONGEST = 128
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


def is_suspect(text: str) -> bool:
    """Whether a text has enough digits in a row to be looked at."""
    return _SUSPECT.search(text) is not None


def has_card_number(text: str) -> bool:
    """Whether a card number stands in a text."""
    return find_card_number(text) is not None


def find_card_number(text: str, *, is_about_payments: bool = True) -> str | None:
    """Return the name of the field in which a card number stands, empty where it has none; None without a number.

    Texts may be JSON, a form, a query or plain.
    """
    if not is_suspect(text):
        return None
    if "%" in text:
        text = _ESCAPED.sub(_unescape, text)
    if "+" in text:  # a space between two groups, in a form
        text = _SPACED.sub(" ", text)
    for match in _DIGITS.finditer(text):
        if not is_card_number(match[0]):
            continue
        before = _FIELD.search(text[max(0, match.start() - LONGEST) : match.start()])
        field = before[1].strip() if before else ""
        if is_about_payments or _GROUPED.fullmatch(match[0]) or _NAMES_CARD.search(field):
            return field
    return None


def _unescape(match: re.Match[str]) -> str:
    return chr(int(match[1], 16))


def mask_card_numbers(text: str) -> str:
    """Return a text with all but the last four digits of every card number left out."""
    if not is_suspect(text):
        return text
    return _DIGITS.sub(lambda match: f"***{match[0][-4:]}" if is_card_number(match[0]) else match[0], text)


def is_card_number(text: str) -> bool:
    """Whether a text is a card number, spaces and hyphens aside."""
    digits = text.replace(" ", "").replace("-", "")
    return _ISSUERS.fullmatch(digits) is not None and _passes_luhn(digits)


def refuse_card_number(text: str, field: str) -> None:
    """Raise `InvalidArgumentError`, naming the field, where a card number stands in a text."""
    if has_card_number(text):
        raise refusal(field)


def refusal(field: str) -> InvalidArgumentError:
    """Return the error for a card number in a field."""
    return InvalidArgumentError(
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
