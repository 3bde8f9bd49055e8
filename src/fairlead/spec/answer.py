"""Reading a vendor's JSON: unknown fields are ignored, a changed type is named by its place."""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from fairlead.errors import UnexpectedAnswerError
from fairlead.model.message import Response
from fairlead.spec.drift import NOTHING, DriftKind, Finding, compare, parse
from fairlead.spec.mapping import Path, ResponseMapping, Shape, mapping_of, mark_of
from fairlead.spec.watch import Watch, current_watch, is_due

T = TypeVar("T")

# How many parts of an answer that fits are compared: it is a sample, and the event loop waits for it.
_LONGEST_GLANCE = 500
# What does not fit, the value where the library quotes one (a body is never shown), and the place.
_PROBLEM = re.compile(r"(.*?)(?: ['\"].*['\"])?(?: - at `([^`]*)`)?", re.DOTALL)
_INDEX = re.compile(r"\[\d+\]")


def decode(response: Response, shape: Shape[T]) -> T:
    """Read the body as `shape`; raise `UnexpectedAnswerError` with the path of what does not fit.

    What drifted from it and can be mended without a guess is mended (see `fairlead.spec.drift`).
    """
    mapping = mapping_of(shape)
    if mapping.path:
        return decode_at(response, mapping.path, mapping)
    return _fitted(response, response.body, mapping, ())


def decode_at(response: Response, path: Path, shape: Shape[T]) -> T:
    """Read what stands at a path of keys as `shape`; raise `UnexpectedAnswerError` naming the whole path."""
    mapping = mapping_of(shape)
    found = raw_at(response, path)
    if found is not None:
        return _fitted(response, found, mapping, path)
    _tell(current_watch(), mapping, path, (Finding(
        kind=DriftKind.MISSING, path="$", expected=mapping.outline.name, found=NOTHING, is_tolerated=False
    ),))  # fmt: skip
    raise UnexpectedAnswerError(
        f"The answer has nothing at {shown(path)}.",
        path=shown(path),
        status=response.status,
        hint="The vendor may have changed its API, or the path is misspelt.",
    )


def decode_each(response: Response, path: Path, shape: Shape[T]) -> tuple[T, ...]:
    """Read the list at a path of keys, each of its elements as `shape`."""
    return decode_at(response, path, mapping_of(shape).of_items)


def _fitted(response: Response, text: bytes | msgspec.Raw, mapping: ResponseMapping[T], at: Path) -> T:
    """Read JSON at a path of the body as it should be; else, and for a sample of what fits, compare it."""
    watch = current_watch()
    memory = watch.remember(mapping) if watch else None
    marks = mapping.marks
    if memory and memory.marks:
        marks += memory.marks
    if not marks or not any(mark in bytes(text) for mark in marks):
        try:
            value: T = msgspec.json.decode(text, type=mapping.model)
        except msgspec.ValidationError:
            pass
        except (msgspec.DecodeError, RecursionError):
            raise _garbled(response) from None
        else:
            if memory is None or not is_due(memory):
                return value
            glance = compare(parse(text), mapping, longest=_LONGEST_GLANCE)
            if not glance.names:
                _tell(watch, mapping, at, glance.findings)
                return value
    return _mended(response, text, mapping, at)


def _mended(response: Response, text: bytes | msgspec.Raw, mapping: ResponseMapping[T], at: Path) -> T:
    """Read JSON at a path of the body by way of a comparison, which mends what it can."""
    watch = current_watch()
    try:
        compared = compare(parse(text), mapping)
        value: T = msgspec.json.decode(msgspec.json.encode(compared.document), type=mapping.model)
    except msgspec.ValidationError as error:
        problem, path = _problem(error)
        findings = compared.findings
        if all(each.is_tolerated for each in findings):  # it is the value that does not fit, and not its type
            findings += (_refused(problem, path),)
        _tell(watch, mapping, at, findings)
        raise _unlike(response, problem, shown(at) + path.removeprefix("$")) from None  # the cause quotes a value
    except (msgspec.DecodeError, RecursionError):
        raise _garbled(response) from None
    _tell(watch, mapping, at, compared.findings)
    if watch and compared.names:
        memory = watch.remember(mapping)
        memory.marks = tuple({*memory.marks, *map(mark_of, compared.names)})
    return value


def _tell(watch: Watch | None, mapping: ResponseMapping[Any], at: Path, findings: tuple[Finding, ...]) -> None:
    """Write down what was found, with its whole path."""
    if watch and findings:
        watch.note(mapping, [replace(each, path=shown(at) + each.path.removeprefix("$")) for each in findings])


def _refused(problem: str, path: str) -> Finding:
    """Return what a value comes to that is of the right type, and yet not one that was declared."""
    return Finding(
        kind=DriftKind.RETYPED,
        path=_INDEX.sub("[]", path),
        expected=problem.removeprefix("Expected ").replace("`", ""),
        found="another value",
        is_tolerated=False,
    )


def _read(response: Response, text: bytes | msgspec.Raw) -> Any:
    """Read any JSON."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        raise _garbled(response) from None


def _problem(error: msgspec.ValidationError) -> tuple[str, str]:
    """Return what does not fit, and where."""
    problem = _PROBLEM.fullmatch(str(error))
    return (problem[1], problem[2] or "$") if problem else ("", "$")


def _unlike(response: Response, problem: str, path: str) -> UnexpectedAnswerError:
    return UnexpectedAnswerError(
        f"The answer has another shape at {path}: {problem}.",
        path=path,
        status=response.status,
        hint="The vendor may have changed its API; see the provider's contract test.",
    )


def _garbled(response: Response) -> UnexpectedAnswerError:
    kind = response.headers.get("content-type", "no content type")
    return UnexpectedAnswerError(
        f"The answer is not JSON ({kind}, {len(response.body)} bytes).",
        is_garbled=True,
        status=response.status,
        hint="A proxy or an error page may have answered in the vendor's place.",
    )


def value_at(response: Response, path: Path) -> Any:
    """Return what stands at a path of keys, or None where it is not there."""
    found = raw_at(response, path)
    return None if found is None else _read(response, found)


def raw_at(response: Response, path: Path) -> msgspec.Raw | bytes | None:
    """Return the JSON at a path of keys, not yet read, or None; raise `UnexpectedAnswerError` where there is no JSON.

    Numbers are thus read once, as what they shall become: a price never passes through a binary fraction.
    """
    found: msgspec.Raw | bytes = response.body
    if not path:
        return found
    for key in path:
        try:
            table = msgspec.json.decode(found, type=dict[str, msgspec.Raw])
        except msgspec.ValidationError:  # a list, a number, a text
            return None
        except (msgspec.DecodeError, RecursionError):
            _read(response, found)  # raises, and says how
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
    for key in path:
        value = _first(value)
        value = value.get(key) if isinstance(value, dict) else None
    return str(value) if isinstance(value, str | int) else None


def _first(value: Any) -> Any:
    """Return the first of a list: some vendors answer with a list of errors, and its first is the reason."""
    return value[0] if isinstance(value, list) and value else value
