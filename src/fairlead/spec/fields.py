"""Structured fields (RFC 9651), as far as headers about limits need them: lists of items with parameters."""

from __future__ import annotations

import re

Bare = int | float | str | bool
Item = tuple[Bare, dict[str, Bare]]

# RFC 9651 §3.3, §4.2. Strings have no control characters; what stands in a byte sequence is not looked at.
_BARE = re.compile(
    r"""(?P<number>-?[0-9]{1,15}(?:\.[0-9]{1,3})?)(?![0-9.])
    |"(?P<string>(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"
    |(?P<token>[A-Za-z*][!#$%&'*+\-.^_`|~0-9A-Za-z:/]*)
    |:(?P<bytes>[A-Za-z0-9+/=]*):
    |\?(?P<boolean>[01])""",
    re.VERBOSE,
)
_PARAMETER = re.compile(r";[ ]*([a-z*][a-z0-9_\-.*]*)(=)?")
_COMMA = re.compile(r"[ \t]*,[ \t]*")


def parse_items(text: str) -> list[Item] | None:
    """Return the items of a list with their parameters, or None where the text is malformed (RFC 9651 §4.2).

    A malformed field is ignored whole, as the RFC asks. Inner lists, dates and display strings have no meaning in
    these headers, and make one malformed.
    """
    text = text.strip(" ")
    at, items = 0, list[Item]()
    while at < len(text):
        bare = _BARE.match(text, at)
        if bare is None:
            return None
        parameters: dict[str, Bare] = {}
        at = bare.end()
        while (named := _PARAMETER.match(text, at)) is not None:
            at = named.end()
            if named[2] is None:
                parameters[named[1]] = True
                continue
            value = _BARE.match(text, at)
            if value is None:
                return None
            parameters[named[1]] = _value(value)
            at = value.end()
        items.append((_value(bare), parameters))
        if at == len(text):
            return items
        comma = _COMMA.match(text, at)
        if comma is None or comma.end() == len(text):
            return None
        at = comma.end()
    return items


def _value(found: re.Match[str]) -> Bare:
    text = found[found.lastgroup or 0]
    match found.lastgroup:
        case "number":
            return float(text) if "." in text else int(text)
        case "string":
            return re.sub(r"\\(.)", r"\1", text)
        case "boolean":
            return text == "1"
        case _:
            return text
