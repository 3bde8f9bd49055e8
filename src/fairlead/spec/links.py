"""The Link header (RFC 8288): which address stands in which relation to the answer."""

from __future__ import annotations

import re
from collections.abc import Iterator

from fairlead.model.headers import Headers

# RFC 8288 §3: `<URI-Reference>`, and parameters whose value is a token or a quoted string. Appendix B.2 asks readers
# to be lenient about the white space around them.
_LINK = re.compile(r"[\s,]*<([^>]*)>")
_PARAMETER = re.compile(r"\s*;\s*([^\s=;,\"]*)\s*(?:=\s*(?:\"((?:[^\"\\]|\\.)*)\"|([^\s;,\"]*)))?")
_ESCAPED = re.compile(r"\\(.)")


def link_to(headers: Headers, relation: str) -> str | None:
    """Return the first address with this relation, as it was written, or None where there is none.

    A link with an `anchor` is about something else than this answer, and is passed over (§3.2). What follows a link
    that cannot be read is passed over too.
    """
    for value in headers.all("link"):
        for target, parameters in _links(value):
            if "anchor" not in parameters and relation in parameters.get("rel", "").lower().split():
                return target
    return None


def _links(value: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Read one field's links; of a parameter that is repeated the first counts (§3.3)."""
    at = 0
    while link := _LINK.match(value, at):
        at = link.end()
        parameters: dict[str, str] = {}
        while found := _PARAMETER.match(value, at):
            at = found.end()
            name, quoted, token = found[1].lower(), found[2], found[3]
            parameters.setdefault(name, _ESCAPED.sub(r"\1", quoted) if quoted is not None else token or "")
        yield link[1].strip(), parameters
