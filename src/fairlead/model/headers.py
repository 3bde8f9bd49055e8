"""HTTP header fields: names without case, values that cannot smuggle a second header."""

import re
from collections.abc import Iterable, Iterator, Mapping

from fairlead.errors import InvalidArgumentError

# RFC 9110 §5.1: a field name is a token; §5.5: a value has no CR, LF or NUL.
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_FORBIDDEN = re.compile(r"[\r\n\0]")

Pairs = tuple[tuple[str, str], ...]


class Headers(Mapping[str, str]):
    """An immutable, case-insensitive view of header fields.

    A field sent several times is one value joined by `, ` (RFC 9110 §5.3); `all()` has them apart.
    """

    __slots__ = ("_joined", "pairs")

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self.pairs: Pairs = tuple(pairs)
        joined: dict[str, str] = {}
        for name, value in self.pairs:
            key = name.lower()
            joined[key] = f"{joined[key]}, {value}" if key in joined else value
        self._joined = joined

    def __getitem__(self, name: str) -> str:
        return self._joined[name.lower()]

    def __contains__(self, name: object) -> bool:  # a mapping's own raises and catches an error for what is not there
        return isinstance(name, str) and name.lower() in self._joined

    def __iter__(self) -> Iterator[str]:
        return iter(self._joined)

    def __len__(self) -> int:
        return len(self._joined)

    def __repr__(self) -> str:
        return f"Headers({', '.join(self._joined)})"  # names only: a value may be a credential

    def all(self, name: str) -> tuple[str, ...]:
        """Return every value of one field, in the order received."""
        wanted = name.lower()
        return tuple(value for key, value in self.pairs if key.lower() == wanted)


def checked_headers(headers: Mapping[str, str] | Iterable[tuple[str, str]] | None) -> Pairs:
    """Return header pairs that are safe to send; raise `InvalidArgumentError` for those that are not."""
    pairs = headers or ()
    if not isinstance(pairs, list | tuple) and isinstance(pairs, Mapping):  # the latter costs ten times the former
        pairs = pairs.items()
    return tuple([_checked(name, value) for name, value in pairs])


def _checked(name: str, value: str) -> tuple[str, str]:
    if not _TOKEN.fullmatch(name):
        raise InvalidArgumentError(
            f"{name!r} is not a header name.", hint="Use letters, digits and hyphens (RFC 9110 §5.1)."
        )
    if _FORBIDDEN.search(value):
        raise InvalidArgumentError(
            f"The header {name!r} has a line break or NUL in its value.",
            hint="Remove it: it would start another header (RFC 9110 §5.5).",
        )
    return name, value
