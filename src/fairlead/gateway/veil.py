"""Hide a vendor's credentials in what it answers, byte for byte, so that no length changes.

Vendors whose key travels in the address write that address into their answers: as the next page, as where to look. What
they would give away there is ours.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

from fairlead.model.secret import Secret

# What is shorter is a public test key, and would riddle every text.
_SHORTEST = 4
_HEXADECIMAL = re.compile("%[0-9A-F]{2}")


class Veil:
    """Covers the credentials in one stream; a piece that may be the beginning of one waits for the next."""

    def __init__(self, secrets: Iterable[Secret]) -> None:
        values = {secret.reveal() for secret in secrets}
        forms = {form for value in values for form in _forms(value)}
        longest_first = sorted((form.encode() for form in forms if len(form) >= _SHORTEST), key=len, reverse=True)
        self._pattern = re.compile(b"|".join(map(re.escape, longest_first))) if longest_first else None
        self._forms = longest_first
        self._keep = max(map(len, longest_first), default=1) - 1
        self._held = b""

    @property
    def is_thin(self) -> bool:
        """Whether there is nothing to cover."""
        return self._pattern is None

    def cover(self, piece: bytes) -> bytes:
        """Return what can be passed on by now."""
        if self._pattern is None:
            return piece
        text = self._covered(self._held + piece)
        sizes = range(min(len(text), self._keep), 0, -1)
        begun = next((size for size in sizes if any(form.startswith(text[-size:]) for form in self._forms)), 0)
        cut = len(text) - begun
        self._held = text[cut:]
        return text[:cut]

    def rest(self) -> bytes:
        """Return what was still held back at the end."""
        held, self._held = self._held, b""
        return held

    def whole(self, text: bytes) -> bytes:
        """Cover a text that is all there."""
        return text if self._pattern is None else self._covered(text)

    def _covered(self, text: bytes) -> bytes:
        assert self._pattern is not None  # noqa: S101  # who calls has looked
        return self._pattern.sub(lambda found: b"*" * len(found[0]), text)


def _forms(value: str) -> Iterator[str]:
    """Yield a text as it may be written: plainly, in a URL (RFC 3986 §2.1), or in JSON, where some escape a slash."""
    quoted = {quote(value, safe=""), quote(value), quote_plus(value)}
    yield value
    yield value.replace("/", "\\/")
    yield from quoted
    yield from (_HEXADECIMAL.sub(lambda found: found[0].lower(), text) for text in quoted)
