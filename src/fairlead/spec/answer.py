"""Reading a vendor's JSON: unknown fields are ignored, a changed type is named by its place."""

from __future__ import annotations

import re
from typing import TypeVar

import msgspec

from fairlead.errors import UnexpectedAnswerError
from fairlead.model.message import Response

T = TypeVar("T")

# What does not fit, the value where the library quotes one (a body is never shown), and the place.
_PROBLEM = re.compile(r"(.*?)(?: ['\"].*['\"])?(?: - at `([^`]*)`)?", re.DOTALL)


def decode(response: Response, shape: type[T]) -> T:
    """Read the body as `shape`; raise `UnexpectedAnswerError` with the path of what does not fit."""
    try:
        return msgspec.json.decode(response.body, type=shape)
    except msgspec.ValidationError as error:
        problem = _PROBLEM.fullmatch(str(error))
        expected, path = (problem[1], problem[2] or "$") if problem else ("", "$")
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
