"""The outline of a declared model: which kinds of JSON value may stand where. Made once for a model, walked often."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import NoneType
from typing import Any

import msgspec
from msgspec import inspect

from fairlead.spec.lossless import Convert, to_bool, to_float, to_int, to_member, to_text

#: The kinds of JSON value by the Python type that stands for them, as messages name them. A float is left as its text.
KIND_NAMES: Mapping[type, str] = {
    NoneType: "null", bool: "bool", int: "int", msgspec.Raw: "float", str: "str", list: "array", dict: "object",
}  # fmt: skip
_ANY = frozenset(KIND_NAMES)
_NUMBERS = frozenset({int, msgspec.Raw})
_TEXT = frozenset({str})
_ARRAY = frozenset({list})
_OBJECT = frozenset({dict})

_SCALARS: Mapping[type[inspect.Type], tuple[str, frozenset[type], tuple[Convert, ...]]] = {
    inspect.NoneType: ("null", frozenset({NoneType}), ()),
    inspect.BoolType: ("bool", frozenset({bool}), (to_bool,)),
    inspect.IntType: ("int", frozenset({int}), (to_int,)),
    inspect.FloatType: ("float", _NUMBERS, (to_float,)),
    inspect.DecimalType: ("decimal", _NUMBERS | _TEXT, ()),
    inspect.StrType: ("str", _TEXT, (to_text,)),
    inspect.BytesType: ("bytes", _TEXT, ()),
    inspect.ByteArrayType: ("bytes", _TEXT, ()),
    inspect.MemoryViewType: ("bytes", _TEXT, ()),
    inspect.DateTimeType: ("datetime", _TEXT, ()),
    inspect.DateType: ("date", _TEXT, ()),
    inspect.TimeType: ("time", _TEXT, ()),
    inspect.TimeDeltaType: ("duration", _TEXT, ()),
    inspect.UUIDType: ("uuid", _TEXT, ()),
}


class Outline(msgspec.Struct, kw_only=True):
    """What may stand in one place. In a union every part adds to it: they differ by the kind of value, or by a tag."""

    name: str
    kinds: frozenset[type]
    converts: tuple[Convert, ...] = ()
    #: Of the elements of an array; or of each by its position.
    element: Outline | None = None
    elements: tuple[Outline, ...] = ()
    #: Of the values of an object whose keys are free.
    values: Outline | None = None
    #: Of objects with fields.
    layouts: tuple[Layout, ...] = ()

    def layout_of(self, value: Mapping[str, Any]) -> Layout | None:
        """Return the layout that an object should have; None where its tag is of no use."""
        if len(self.layouts) < 2:
            return self.layouts[0] if self.layouts else None
        return next((each for each in self.layouts if value.get(each.tag_field or "") == each.tag), None)


class Layout(msgspec.Struct, kw_only=True):
    """The fields of an object, by their names in JSON."""

    fields: dict[str, Field]
    tag_field: str | None = None
    tag: str | int | None = None
    #: The model itself refuses what it lacks.
    is_closed: bool = False


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One field: `has_default` where it may be left out, `is_loose` where leaving it out says nothing."""

    name: str
    outline: Outline
    has_default: bool
    is_loose: bool


def outline_of(model: Any) -> Outline:
    """Draw the outline of a type."""
    return _draw(inspect.type_info(model), {})


def _draw(info: inspect.Type, known: dict[Any, Layout]) -> Outline:
    """Draw one part; `known` ends the recursion of a model that contains itself."""
    if type(info) in _SCALARS:
        name, kinds, converts = _SCALARS[type(info)]
        return Outline(name=name, kinds=kinds, converts=converts)
    match info:
        case inspect.Metadata(type=inner):
            return _draw(inner, known)
        case inspect.EnumType(cls=cls):
            return _members([each.value for each in cls])
        case inspect.LiteralType(values=values):
            return _members(values)
        case inspect.UnionType(types=types):
            return _union([_draw(each, known) for each in types])
        case inspect.DictType(value_type=inner) | inspect.FrozenDictType(value_type=inner):
            return Outline(name="object", kinds=_OBJECT, values=_draw(inner, known))
        case inspect.StructType(array_like=False) | inspect.TypedDictType() | inspect.DataclassType():
            return Outline(name="object", kinds=_OBJECT, layouts=(_layout(info, known),))
        case inspect.CollectionType(item_type=inner):
            return Outline(name="array", kinds=_ARRAY, element=_draw(inner, known))
    positions = _positions(info)
    if positions is None:  # Any, and what this does not know
        return Outline(name="any", kinds=_ANY)
    return _draw_array(info, positions, known)


def _draw_array(info: inspect.Type, positions: Sequence[inspect.Type], known: dict[Any, Layout]) -> Outline:
    """Draw an array whose positions differ; within itself it is not compared."""
    outline = Outline(name="array", kinds=_ARRAY)
    if isinstance(info, inspect.StructType | inspect.NamedTupleType):
        if info.cls in known:
            return outline
        known = {**known, info.cls: Layout(fields={})}
    outline.elements = tuple(_draw(each, known) for each in positions)
    return outline


def _positions(info: inspect.Type) -> Sequence[inspect.Type] | None:
    """Return the types of an array whose positions differ; None for anything else."""
    match info:
        case inspect.TupleType(item_types=types):
            return types
        case inspect.StructType(tag=tag) if tag is not None:
            return ()  # the tag comes first; which array it is cannot be told before
        case inspect.StructType(fields=fields) | inspect.NamedTupleType(fields=fields):
            return [each.type for each in fields]
    return None


def _members(values: Sequence[Any]) -> Outline:
    return Outline(name="enum", kinds=frozenset(map(type, values)), converts=(to_member(values),))


def _union(parts: Sequence[Outline]) -> Outline:
    return Outline(
        name=" | ".join(dict.fromkeys(each.name for each in parts)),
        kinds=frozenset().union(*(each.kinds for each in parts)),
        converts=tuple(convert for each in parts for convert in each.converts),
        element=next((each.element for each in parts if each.element), None),
        elements=next((each.elements for each in parts if each.elements), ()),
        values=next((each.values for each in parts if each.values), None),
        layouts=tuple(layout for each in parts for layout in each.layouts),
    )


def _layout(
    info: inspect.StructType | inspect.TypedDictType | inspect.DataclassType, known: dict[Any, Layout]
) -> Layout:
    if info.cls in known:
        return known[info.cls]
    layout = known[info.cls] = Layout(fields={})
    if isinstance(info, inspect.StructType):
        layout.tag_field, layout.tag = info.tag_field, info.tag
        layout.is_closed = info.forbid_unknown_fields
    for each in info.fields:
        outline = _draw(each.type, known)
        is_unset = each.default is msgspec.NODEFAULT and each.default_factory is msgspec.NODEFAULT
        layout.fields[each.encode_name] = Field(
            name=each.encode_name,
            outline=outline,
            has_default=not each.required,
            is_loose=not each.required and (is_unset or each.default is None or NoneType in outline.kinds),
        )
    return layout
