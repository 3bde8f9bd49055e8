"""Drift: where a vendor's answer departs from its declared mapping, and what can still be read.

`compare` walks a JSON document along the outline of a model. It mends what can be mended without a guess, in the
document itself, and says what it found: names and types, never values.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from enum import StrEnum
from math import inf
from typing import Any, TypeAlias

import msgspec

from fairlead.spec.mapping import Path, ResponseMapping
from fairlead.spec.outline import KIND_NAMES, Field, Layout, Outline

# Deeper parts are read, but not compared.
_DEEPEST = 64
# Below this likeness a name is another name.
_LIKENESS = 0.8
# A key of another form may be data: an address, an id.
_NAME = re.compile(r"[@$]?[A-Za-z_][A-Za-z0-9_:-]{0,63}")
_ELEMENT, _ANY_KEY = "[]", "[...]"
_CONTAINERS = frozenset({list, dict})
NOTHING = "nothing"

#: Where the walk is: the way to the parent, and the last step.
_Way: TypeAlias = "tuple[_Way, str] | None"


class DriftKind(StrEnum):
    """How a field departs from what was declared."""

    RENAMED = "renamed"
    MISSING = "missing"
    ADDED = "added"
    RETYPED = "retyped"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One departure. `found` is a type; of a renamed field it is the place where it now stands."""

    kind: DriftKind
    path: str
    expected: str
    found: str
    is_tolerated: bool


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """A mended document, what was found in it (each kind and path once), and the names that stood in for others."""

    document: Any
    findings: tuple[Finding, ...]
    names: frozenset[str]


def parse(text: bytes | msgspec.Raw) -> Any:
    """Read a document, its floats as they are written; raise `msgspec.DecodeError` where it is none."""
    return _DOCUMENTS.decode(text)


_DOCUMENTS = msgspec.json.Decoder(float_hook=msgspec.Raw)


def compare(document: Any, mapping: ResponseMapping[Any], *, longest: float = inf) -> Comparison:
    """Walk the first `longest` parts of a document, and mend it in place."""
    walk = _Walk(mapping, longest)
    document = walk.visit(document, mapping.outline, None, 0)
    return Comparison(document=document, findings=tuple(walk.found.values()), names=frozenset(walk.names))


class _Walk:
    """One comparison."""

    def __init__(self, mapping: ResponseMapping[Any], longest: float) -> None:
        self.found: dict[tuple[DriftKind, str], Finding] = {}
        self.names: set[str] = set()
        self._mapping = mapping
        self._left = longest

    def visit(self, value: Any, outline: Outline, way: _Way, depth: int) -> Any:
        """Return the value, or what it can be taken for."""
        self._left -= 1
        if depth > _DEEPEST or self._left < 0:
            return value
        kind = type(value)
        if kind not in outline.kinds:
            taken = convert(value, outline)
            self._note(DriftKind.RETYPED, way, outline.name, KIND_NAMES[kind], is_tolerated=taken is not None)
            return value if taken is None else taken
        if kind is dict:
            layout = outline.layout_of(value)
            if layout is not None:
                self._visit_object(value, layout, way, depth)
            elif outline.values is not None:
                for key in value:
                    value[key] = self.visit(value[key], outline.values, (way, _ANY_KEY), depth + 1)
        elif kind is list:
            if outline.element is not None:
                value[:] = [self.visit(each, outline.element, (way, _ELEMENT), depth + 1) for each in value]
            for at, inner in enumerate(outline.elements[: len(value)]):
                value[at] = self.visit(value[at], inner, (way, f"[{at}]"), depth + 1)
        return value

    def _visit_object(self, value: dict[str, Any], layout: Layout, way: _Way, depth: int) -> None:
        absent = [field for name, field in layout.fields.items() if name not in value]
        if absent or len(value) > len(layout.fields):
            self._match_names(value, layout, absent, way)
        for name, field in layout.fields.items():
            if name not in value:
                continue
            inner = value[name]
            if inner is None and field.has_default and type(None) not in field.outline.kinds:
                self._note(DriftKind.RETYPED, (way, name), field.outline.name, "null", is_tolerated=True)
                del value[name]  # the default stands for it
                continue
            value[name] = self.visit(inner, field.outline, (way, name), depth + 1)

    def _match_names(self, value: dict[str, Any], layout: Layout, absent: list[Field], way: _Way) -> None:
        """Find what is missing under another name, and say what is missing or more than was declared."""
        place = _place(way)
        unknown = [name for name in value if name not in layout.fields and name != layout.tag_field]
        unknown = [name for name in unknown if (*place, name) not in self._mapping.passed_over]
        for field in layout.fields.values():
            names = self._mapping.other_names.get((*place, field.name), ())
            there = [name for name in names if name in value]
            if there and field in absent:
                value[field.name] = value.pop(there[0])
                absent.remove(field)
            unknown = [name for name in unknown if name not in names]
        for field, name in same_names(absent, unknown):
            if not _fits(value[name], field.outline):
                continue
            self._note_renamed(way, field, name, is_tolerated=True)
            value[field.name] = value.pop(name)
            self.names.add(name)
            absent.remove(field)
            unknown.remove(name)
        for field in [each for each in absent if not each.is_loose]:
            like = _like(field, [name for name in unknown if type(value[name]) in field.outline.kinds])
            if like is not None:
                self._note_renamed(way, field, like, is_tolerated=field.has_default)
                unknown.remove(like)
            else:
                name, expected = field.name, field.outline.name
                self._note(DriftKind.MISSING, (way, name), expected, NOTHING, is_tolerated=field.has_default)
        if layout.is_closed or not self._mapping.is_partial:
            for name in unknown:
                kind = KIND_NAMES[type(value[name])]
                self._note(DriftKind.ADDED, (way, _shown(name)), NOTHING, kind, is_tolerated=not layout.is_closed)

    def _note_renamed(self, way: _Way, field: Field, name: str, *, is_tolerated: bool) -> None:
        self._note(
            DriftKind.RENAMED,
            (way, field.name),
            field.outline.name,
            path_text((way, _shown(name))),
            is_tolerated=is_tolerated,
        )

    def _note(self, kind: DriftKind, way: _Way, expected: str, found: str, *, is_tolerated: bool) -> None:
        path = path_text(way)
        before = self.found.get((kind, path))
        if before is None or (before.is_tolerated and not is_tolerated):
            self.found[kind, path] = Finding(
                kind=kind, path=path, expected=expected, found=found, is_tolerated=is_tolerated
            )


def convert(value: Any, outline: Outline) -> Any:
    """Return the value in the type that is expected; None where that would be a guess.

    Where an array or an object may stand too, a scalar of another type is not what is meant.
    """
    if not outline.kinds.isdisjoint(_CONTAINERS):
        return None
    made = [each for each in (to(value) for to in outline.converts) if each is not None]
    is_sure = len({type(each) for each in made} - {msgspec.Raw}) <= 1  # the same number as int and float is one
    return made[0] if made and is_sure else None


def same_names(absent: Sequence[Field], unknown: Sequence[str]) -> list[tuple[Field, str]]:
    """Pair fields with names that differ by case, underscores and hyphens alone, where only one fits one."""
    fields, names = _grouped({each.name: each for each in absent}), _grouped({each: each for each in unknown})
    return [
        (fields[key][0], names[key][0])
        for key in fields
        if key in names and len(fields[key]) == 1 and len(names[key]) == 1
    ]


def _grouped(named: Mapping[str, Any]) -> dict[str, list[Any]]:
    groups: dict[str, list[Any]] = {}
    for name, each in named.items():
        groups.setdefault(_squeezed(name), []).append(each)
    return groups


def _squeezed(name: str) -> str:
    return name.replace("_", "").replace("-", "").casefold()


def _fits(value: Any, outline: Outline) -> bool:
    return type(value) in outline.kinds or convert(value, outline) is not None


def _like(field: Field, unknown: Sequence[str]) -> str | None:
    """Return the one name that resembles a field's; None where there is none, or more than one."""
    squeezed = [_squeezed(name) for name in unknown]
    close = get_close_matches(_squeezed(field.name), squeezed, n=2, cutoff=_LIKENESS)
    return unknown[squeezed.index(close[0])] if len(close) == 1 else None


def _shown(name: str) -> str:
    return name if _NAME.fullmatch(name) else _ANY_KEY


def path_text(way: _Way) -> str:
    """Write a way as messages do: `$.items[].price`."""
    steps: list[str] = []
    while way is not None:
        way, step = way
        steps.append(step if step.startswith("[") else f".{step}")
    return "".join(("$", *reversed(steps)))


def _place(way: _Way) -> Path:
    """Return the keys of a way; lists and free keys are passed through."""
    keys: list[str] = []
    while way is not None:
        way, step = way
        if not step.startswith("["):
            keys.append(step)
    return tuple(reversed(keys))
