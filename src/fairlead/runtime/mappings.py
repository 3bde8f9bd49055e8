"""Mappings made of settings alone: a struct for each, or one clear error."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from decimal import Decimal
from keyword import iskeyword
from typing import Any

import msgspec

from fairlead import errors
from fairlead.config import settings as config
from fairlead.model.suggest import suggest
from fairlead.runtime.connection import Connection
from fairlead.spec.mapping import ResponseMapping, Shape

_TYPES: Mapping[str, Any] = {
    "text": str, "integer": int, "number": float, "decimal": Decimal, "boolean": bool,
    "datetime": dt.datetime, "date": dt.date, "any": Any,
}  # fmt: skip
_LIST = "list of "


def build_mappings(wanted: Mapping[str, config.Mapping], where: str) -> Mapping[str, ResponseMapping[Any]]:
    """Return each mapping by its name; raise `InvalidSettingError` naming the key of what cannot be."""
    made: dict[str, ResponseMapping[Any]] = {}
    return {name: _build(name, wanted, where, made, ()) for name in wanted}


def shape_named(model: Shape[Any] | str, connection: Connection) -> Shape[Any]:
    """Return what a call gave as its model, looked up where it is a name; raise `InvalidArgumentError` for none."""
    if not isinstance(model, str):
        return model
    if model not in connection.mappings:
        raise errors.InvalidArgumentError(
            f"The connection {connection.name!r} has no mapping {model!r}.",
            hint=suggest(model, connection.mappings, lead="It has"),
        )
    return connection.mappings[model]


def _build(
    name: str,
    wanted: Mapping[str, config.Mapping],
    where: str,
    made: dict[str, ResponseMapping[Any]],
    outer: tuple[str, ...],
) -> ResponseMapping[Any]:
    """Build a mapping, and before it those that it has within; `outer` are those that wait for it."""
    if name in made:
        return made[name]
    here = f"{where}.{name}"
    if name in _TYPES or name.startswith(_LIST):
        raise errors.InvalidSettingError(f"{here} has the name of a type.", hint="Give it another.")
    fields: list[Any] = []
    renames: dict[str, tuple[str, ...]] = {}
    ignores = list(wanted[name].ignores)
    names = _names(wanted[name].fields, f"{here}.fields")
    for field, each in wanted[name].fields.items():
        key = f"{here}.fields.{field}"
        element, is_list = each.type.removeprefix(_LIST), each.type.startswith(_LIST)
        if element in wanted:
            if element in (*outer, name):
                raise errors.InvalidSettingError(
                    f"{key}.type: the mapping {element!r} would contain itself.", hint="Declare such a model in code."
                )
            inner = _build(element, wanted, where, made, (*outer, name))
            kind: Any = inner.model
            renames |= {f"{names[field][0]}.{place}": _several(other) for place, other in inner.renames.items()}
            ignores += [f"{names[field][0]}.{place}" for place in inner.ignores]
        elif element in _TYPES:
            kind = _TYPES[element]
        else:
            raise _unknown_type(element, wanted, f"{key}.type")
        fields.append(_field(field, each, list[kind] if is_list else kind, key))
        if names[field][1:]:
            renames[names[field][0]] = names[field][1:]
    first = {field: ours[0] for field, ours in names.items()}
    try:
        made[name] = ResponseMapping(
            model=msgspec.defstruct(_class_name(name), fields, rename=first, kw_only=True, frozen=True),
            name=name,
            version=wanted[name].version,
            at=wanted[name].at,
            renames=renames,
            ignores=tuple(ignores),
            is_partial=wanted[name].is_partial,
        )
    except errors.InvalidArgumentError as error:
        raise errors.InvalidSettingError(f"{here}: {error.message}", hint=error.hint) from None
    return made[name]


def _several(other: str | tuple[str, ...]) -> tuple[str, ...]:
    return (other,) if isinstance(other, str) else other


def _names(fields: Mapping[str, config.MappedField], where: str) -> dict[str, tuple[str, ...]]:
    """Return the vendor's names of each field; raise `InvalidSettingError` for one that is taken twice."""
    taken: dict[str, str] = {}
    found: dict[str, tuple[str, ...]] = {}
    for field, each in fields.items():
        if not re.fullmatch("[A-Za-z][A-Za-z0-9_]*", field) or iskeyword(field):
            raise errors.InvalidSettingError(
                f"{where}.{field} cannot be the name of a field.", hint='Name it anew, with names = ["..."].'
            )
        found[field] = tuple(each.names or (field,))
        for name in found[field]:
            if not name or name in taken:
                other = f"is already taken by {taken[name]!r}" if name else "is empty"
                raise errors.InvalidSettingError(f"{where}.{field}.names: {name!r} {other}.", hint="Take it out.")
            taken[name] = field
    return found


def _field(name: str, wanted: config.MappedField, kind: Any, where: str) -> tuple[Any, ...]:
    """Return a field as `defstruct` takes it."""
    if wanted.is_optional:
        if wanted.default is not None:
            raise errors.InvalidSettingError(
                f"{where} has both is_optional and default.", hint="The default is None with is_optional."
            )
        return name, kind | None, None
    if wanted.default is None:
        return name, kind
    try:
        msgspec.convert(wanted.default, kind)
    except msgspec.ValidationError:
        raise errors.InvalidSettingError(
            f"{where}.default is no {wanted.type}.", hint="Write it as the vendor would."
        ) from None
    return name, kind, msgspec.field(default_factory=lambda: msgspec.convert(wanted.default, kind))


def _unknown_type(name: str, mappings: Mapping[str, config.Mapping], where: str) -> errors.InvalidSettingError:
    known = (*_TYPES, *mappings)
    return errors.InvalidSettingError(
        f"{where}: {name!r} is no type and no mapping of this connection.",
        hint=suggest(name, known),
    )


def _class_name(name: str) -> str:
    """Return the name of a mapping's struct, as `OrderLine` for `order-line`."""
    return "".join(part.capitalize() for part in re.split("[^A-Za-z0-9]+", name)) or "Mapping"
