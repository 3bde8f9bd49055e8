"""A declared mapping: the model that a vendor's answer is read as, and how the answer differs from it on purpose.

Names of another spelling and defaults are the model's own (`msgspec.field(name=...)`, `rename="camel"`); the mapping
adds the version of what was agreed, other names that a field may come under, and what to pass over. Whatever else
differs is drift.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from functools import cached_property, lru_cache
from typing import Any, Generic, TypeAlias, TypeVar, cast

import msgspec

from fairlead.errors import InvalidArgumentError
from fairlead.spec.outline import Layout, Outline, outline_of

T = TypeVar("T")

#: Keys that lead to a place in a JSON document.
Path: TypeAlias = tuple[str, ...]

_MODULE = re.compile(r"(?:[\w<>]+\.)+(?=\w)")
_REMEMBERED_TYPES = 512


class ResponseMapping(msgspec.Struct, Generic[T], frozen=True, kw_only=True, eq=False, dict=True):
    """How answers are read: usable wherever a `model` is.

    Places are keys as JSON has them, with dots between; lists are passed through: `lines.price` is the price of every
    line. Raises `InvalidArgumentError` where a place does not lead to a field of the model.
    """

    #: Any type that msgspec reads: a struct, a list of them.
    model: type[T]
    #: Which state of the vendor's contract this is: a date, a number.
    version: str
    #: The name in events; the model's own unless set.
    name: str = ""
    #: Where the value stands in the answer; the whole of it unless set. Of lists it is `items_at` that says so.
    at: str = ""
    #: Place of a field -> another name under which it may come, or several.
    renames: Mapping[str, str | tuple[str, ...]] = {}
    #: Places of fields that the model lacks and nobody wants to hear of.
    ignores: tuple[str, ...] = ()
    #: The model names only what is read of the answer: what it lacks is no drift.
    is_partial: bool = False

    def __post_init__(self) -> None:
        for place in (self.at, *self.renames, *self.ignores):
            if place and not all(place.split(".")):
                raise InvalidArgumentError(f"{place!r} is not a place.", hint="Write keys with dots between.")
        for keys, names in self.other_names.items():
            self._check(keys, names)
        if not (self.version or self.is_partial):
            raise InvalidArgumentError(f"The mapping {self.title} has no version.", hint='Give a date: "2026-11-24".')

    @cached_property
    def title(self) -> str:
        """The name that events show."""
        return self.name or name_of(self.model)

    @cached_property
    def path(self) -> Path:
        """The keys of `at`."""
        return keys_of(self.at)

    @cached_property
    def outline(self) -> Outline:
        """What may stand where."""
        return outline_of(self.model)

    @cached_property
    def other_names(self) -> Mapping[Path, tuple[str, ...]]:
        """Each place with the other names of its field."""
        return {keys_of(place): (names,) if isinstance(names, str) else names for place, names in self.renames.items()}

    @cached_property
    def passed_over(self) -> frozenset[Path]:
        """The keys of `ignores`."""
        return frozenset(map(keys_of, self.ignores))

    @cached_property
    def marks(self) -> tuple[bytes, ...]:
        """What is in a body that has one of the other names, and perhaps in others too."""
        return tuple(mark_of(name) for names in self.other_names.values() for name in names)

    @cached_property
    def of_items(self) -> ResponseMapping[tuple[T, ...]]:
        """The mapping of a list of such values."""
        several: Any = tuple[self.model, ...]  # type: ignore[name-defined]
        made: Any = msgspec.structs.replace(self, model=several, name=self.title, at="")
        return cast("ResponseMapping[tuple[T, ...]]", made)

    @cached_property
    def key(self) -> tuple[Any, ...]:
        """What tells this mapping from others, though it be made anew."""
        return self.title, self.version, self.is_partial, self.at, _hashable(self.model)

    def _check(self, place: Path, names: tuple[str, ...]) -> None:
        layouts = list(_layouts_at(self.outline, place[:-1]))
        fields = {name for layout in layouts for name in layout.fields}
        if place[-1] not in fields:
            close = get_close_matches(place[-1], fields, n=1)
            raise InvalidArgumentError(
                f"The mapping {self.title} renames {'.'.join(place)!r}, which is no field of the model.",
                hint=f"Did you mean {close[0]!r}?" if close else "Name it as JSON does, with its place.",
            )
        for name in fields & set(names):
            raise InvalidArgumentError(
                f"The mapping {self.title} takes {name!r} for {'.'.join(place)!r}, and it is a field itself.",
                hint="One of them comes under that name.",
            )


#: What an answer may be read as.
Shape: TypeAlias = type[T] | ResponseMapping[T]


def mapping_of(shape: Shape[T]) -> ResponseMapping[T]:
    """Return the mapping that a shape is; a plain type is one that names only what is read."""
    if isinstance(shape, ResponseMapping):
        return shape
    model: Any = shape
    try:
        return _plain(model)
    except TypeError:  # an annotation that cannot be hashed
        return ResponseMapping(model=shape, version="", is_partial=True)


@lru_cache(_REMEMBERED_TYPES)
def _plain(model: Any) -> ResponseMapping[Any]:
    return ResponseMapping(model=model, version="", is_partial=True)


def _layouts_at(outline: Outline, place: Path) -> Iterator[Layout]:
    """Yield the objects at a place, through lists and free keys."""
    for inner in filter(None, (outline.element, outline.values, *outline.elements)):
        yield from _layouts_at(inner, place)
    for layout in outline.layouts:
        if not place:
            yield layout
        elif place[0] in layout.fields:
            yield from _layouts_at(layout.fields[place[0]].outline, place[1:])


def name_of(model: Any) -> str:
    """Return the name of a type without its modules."""
    is_class = isinstance(model, type) and not hasattr(model, "__args__")
    return model.__name__ if is_class else _MODULE.sub("", repr(model))


def keys_of(place: str) -> Path:
    """Return the keys of a dotted place; none for none."""
    return tuple(place.split(".")) if place else ()


def mark_of(name: str) -> bytes:
    """Return what a body holds that has this name; one that may be written in several ways is taken to be in all."""
    return msgspec.json.encode(name) if name.isascii() else b""


def _hashable(model: Any) -> Any:
    try:
        hash(model)
    except TypeError:
        return id(model)
    return model
