"""Reading a vendor's JSON: unknown fields are ignored, a changed type is named by its place."""

from __future__ import annotations

import re
from typing import Any, TypeAlias, TypeVar

import msgspec

from fairlead.errors import UnexpectedAnswerError
from fairlead.model.message import Response

T = TypeVar("T")

#: Keys that lead to a place in a JSON document.
Path: TypeAlias = tuple[str, ...]

# What does not fit, the value where the library quotes one (a body is never shown), and the place.
_PROBLEM = re.compile(r"(.*?)(?: ['\"].*['\"])?(?: - at `([^`]*)`)?", re.DOTALL)


def decode(response: Response, shape: type[T]) -> T:
    """Read the body as `shape`; raise `UnexpectedAnswerError` with the path of what does not fit."""
    made: T = _read(response, response.body, shape, ())
    return made


def _read(response: Response, text: bytes | msgspec.Raw, shape: Any, at: Path) -> Any:
    """Read JSON that stands at a path of the body."""
    try:
        return msgspec.json.decode(text, type=shape)
    except msgspec.ValidationError as error:
        problem = _PROBLEM.fullmatch(str(error))
        expected, path = (problem[1], problem[2] or "$") if problem else ("", "$")
        path = shown(at) + path.removeprefix("$")
        raise UnexpectedAnswerError(
            f"The answer has another shape at {path}: {expected}.",
            path=path,
            status=response.status,
            hint="The vendor may have changed its API; see the provider's contract test.",
        ) from None  # the cause quotes nothing more than this
    except (msgspec.DecodeError, RecursionError):
        kind = response.headers.get("content-type", "no content type")
        raise UnexpectedAnswerError(
            f"The answer is not JSON ({kind}, {len(response.body)} bytes).",
            is_garbled=True,
            status=response.status,
            hint="A proxy or an error page may have answered in the vendor's place.",
        ) from None


def decode_at(response: Response, path: Path, shape: type[T]) -> T:
    """Read what stands at a path of keys as `shape`; raise `UnexpectedAnswerError` naming the whole path."""
    found = raw_at(response, path)
    if found is None:
        raise UnexpectedAnswerError(
            f"The answer has nothing at {shown(path)}.",
            path=shown(path),
            status=response.status,
            hint="The vendor may have changed its API, or the path is misspelt.",
        )
    made: T = _read(response, found, shape, path)
    return made


def value_at(response: Response, path: Path) -> Any:
    """Return what stands at a path of keys, or None where it is not there."""
    found = raw_at(response, path)
    return None if found is None else _read(response, found, Any, path)


def raw_at(response: Response, path: Path) -> msgspec.Raw | bytes | None:
    """Return the JSON at a path of keys, not yet read, or None; raise `UnexpectedAnswerError` where there is no JSON.

    Numbers are thus read once, as what they shall become: a price never passes through a binary fraction.
    """
    found: msgspec.Raw | bytes = response.body
    if not path:
        return found
    for depth, key in enumerate(path):
        try:
            table = msgspec.json.decode(found, type=dict[str, msgspec.Raw])
        except msgspec.ValidationError:  # a list, a number, a text
            return None
        except (msgspec.DecodeError, RecursionError):
            _read(response, found, Any, path[:depth])  # raises, and says how
            return None
        if key not in table:
            return None
        found = table[key]
    return found


def shown(path: Path) -> str:
    """Write a path as messages do: `$.data.items`."""
    return ".".join(("$", *path))


def refusal_in(response: Response, path: Path, ok_codes: tuple[str, ...]) -> str | None:
    """Return the error code in an answer of a good status, or None where it has none.

    What is missing, null, false, empty or 0 is no error, nor is one of `ok_codes`. The code is empty where an object
    or a list stands in its place.
    """
    try:
        value = value_at(response, path)
    except UnexpectedAnswerError:  # no JSON, so no code; whoever reads the answer says so
        return None
    code = str(value).lower() if isinstance(value, bool) else str(value) if isinstance(value, str | int | float) else ""
    return None if not value or code in ok_codes else code


def text_at(response: Response, path: tuple[str, ...]) -> str | None:
    """Return the text or number at a path of keys in a JSON body, or None where it is not there."""
    if not path:
        return None
    try:
        value = msgspec.json.decode(response.body)
    except (msgspec.DecodeError, RecursionError):
        return None
    if isinstance(value, list) and value:  # some vendors answer with a list of errors; the first is the reason
        value = value[0]
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return str(value) if isinstance(value, str | int) else None
