"""An answer that departs in one place from what was declared is found to depart there, so, and nowhere else."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, NamedTuple, get_origin

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from fairlead.errors import UnexpectedAnswerError
from fairlead.model.headers import Headers
from fairlead.model.message import Response
from fairlead.spec.answer import decode
from fairlead.spec.drift import DriftKind, Finding, compare, parse
from fairlead.spec.mapping import ResponseMapping
from fairlead.spec.watch import Watch


def dump(content: Any) -> bytes:
    return msgspec.json.encode(content)


def read(content: Any, mapping: ResponseMapping[Any]) -> tuple[Any, list[Finding]]:
    """Return what an answer is read as, or the error; and what was told."""
    watch = Watch()
    try:
        with watch:
            value = decode(Response(status=200, headers=Headers(), body=dump(content)), mapping)
    except UnexpectedAnswerError as error:
        value = error
    return value, [each for _, each in watch.take()]


NAMES = ("first_name", "identifier", "created_at", "quantity", "shipping", "weather_of_day", "bucket")
#: A type, values of it, a value of another type that can be converted, and one that cannot.
TYPES: tuple[tuple[Any, st.SearchStrategy[Any], Any, Any], ...] = (
    (int, st.integers(-(2**40), 2**40), "12", []),
    (str, st.text(max_size=5), 12, {}),
    (float, st.floats(-1e9, 1e9), "1.5", True),
    (bool, st.booleans(), "true", []),
    (Decimal, st.decimals(-1000, 1000, places=2).map(str), None, []),
    (list[int], st.lists(st.integers(0, 9), max_size=3), None, "x"),
    (dict[str, str], st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2), None, 3),
)


class Case(NamedTuple):
    """A model, a document that fits it, how to reach one object in it, and the fields of that object by their type."""

    model: Any
    document: Any
    path: str
    target: dict[str, Any]
    fields: dict[str, int]
    required: set[str]


def emptied(kind: Any) -> Any:
    return msgspec.field(default_factory=get_origin(kind) or kind)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    names = draw(st.lists(st.sampled_from(NAMES), min_size=2, unique=True))
    fields = {name: draw(st.sampled_from(range(len(TYPES)))) for name in names}
    required = {name for name in names if draw(st.booleans())}
    kinds = {name: TYPES[at][0] for name, at in fields.items()}
    specs: list[Any] = [(n, kinds[n]) if n in required else (n, kinds[n], emptied(kinds[n])) for n in names]
    inner = msgspec.defstruct("Inner", specs, kw_only=True)
    target = {name: draw(TYPES[at][1]) for name, at in fields.items()}
    place = draw(st.sampled_from(("$", "$.inner", "$.items[]", "$[]", "$.by_key[...]")))
    outer: dict[str, tuple[Any, Any]] = {
        "$": (inner, target),
        "$.inner": (msgspec.defstruct("Outer", [("inner", inner)]), {"inner": target}),
        "$.items[]": (msgspec.defstruct("Outer", [("items", list[inner])]), {"items": [dict(target), target]}),  # type: ignore[valid-type]
        "$[]": (list[inner], [target]),  # type: ignore[valid-type]
        "$.by_key[...]": (msgspec.defstruct("Outer", [("by_key", dict[str, inner])]), {"by_key": {"a": target}}),  # type: ignore[valid-type]
    }
    model, document = outer[place]
    return Case(model, document, place, target, fields, required)


def found_in(case: Case) -> list[Finding]:
    mapping = ResponseMapping(model=case.model, version="1")
    return list(compare(parse(dump(case.document)), mapping).findings)


def expect(case: Case, kind: DriftKind, name: str, *, is_tolerated: bool) -> Finding:
    """Check that exactly this was found, that reading agrees, and return it."""
    (finding,) = found_in(case)
    assert (finding.kind, finding.path, finding.is_tolerated) == (kind, f"{case.path}.{name}", is_tolerated)
    value, told = read(case.document, ResponseMapping(model=case.model, version="1"))
    assert isinstance(value, UnexpectedAnswerError) is not is_tolerated
    assert told == [finding]
    return finding


@given(cases())
def test_a_document_as_declared_has_no_drift(case: Case) -> None:
    assert found_in(case) == []
    value, told = read(case.document, ResponseMapping(model=case.model, version="1"))
    assert told == []
    assert value == msgspec.json.decode(dump(case.document), type=case.model)


@given(cases(), st.data())
def test_a_removed_field_is_missing(case: Case, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(case.fields)))
    del case.target[name]
    finding = expect(case, DriftKind.MISSING, name, is_tolerated=name not in case.required)
    assert finding.found == "nothing"


@given(cases(), st.sampled_from(["new", "zone", "x_y"]), st.sampled_from([1, "a", None, [], {}, 1.5, True]))
def test_a_field_that_was_not_declared_is_added(case: Case, name: str, value: Any) -> None:
    case.target[name] = value
    finding = expect(case, DriftKind.ADDED, name, is_tolerated=True)
    assert finding.expected == "nothing"


@given(cases(), st.data())
def test_a_field_of_another_spelling_is_renamed_and_read(case: Case, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(case.fields)))
    spell = data.draw(st.sampled_from([str.upper, str.title, lambda each: f"_{each}", lambda each: each + "-"]))
    before = msgspec.json.decode(dump(case.document), type=case.model)
    case.target[spell(name)] = case.target.pop(name)
    finding = expect(case, DriftKind.RENAMED, name, is_tolerated=True)
    assert finding.found == f"{case.path}.{spell(name)}"
    assert read(case.document, ResponseMapping(model=case.model, version="1"))[0] == before


@given(cases(), st.data())
def test_a_field_of_a_like_name_is_renamed_and_not_read(case: Case, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(case.fields)))
    case.target[f"{name}s"] = case.target.pop(name)
    expect(case, DriftKind.RENAMED, name, is_tolerated=name not in case.required)


@given(cases(), st.data())
def test_a_field_of_another_type_is_retyped(case: Case, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(case.fields)))
    kind, _, convertible, other = TYPES[case.fields[name]]
    is_tolerated = convertible is not None and data.draw(st.booleans())
    case.target[name] = convertible if is_tolerated else other
    finding = expect(case, DriftKind.RETYPED, name, is_tolerated=is_tolerated)
    assert finding.found != finding.expected, kind


SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3)
DOCUMENTS = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
)


class Tree(msgspec.Struct):
    size: int
    children: list[Tree] = []


class Row(msgspec.Struct, array_like=True):
    id: int
    row: Row | None = None


@given(DOCUMENTS)
def test_no_document_does_harm(document: Any) -> None:
    for model in (Tree, Row, list[Tree], int | None, dict[str, Row], Any):
        shape: Any = model
        read(document, ResponseMapping(model=shape, version="1"))
