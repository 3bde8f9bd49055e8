"""One page of a list that stays with the vendor that started it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

from fairlead.model.answer import Answer
from fairlead.model.call import Ref

T = TypeVar("T")


class Page(Answer, Generic[T], frozen=True, kw_only=True):
    """Some items, how many there are in all (where the vendor says so), and where the next page is."""

    items: tuple[T, ...]
    total: int | None = None
    #: None on the last page. The id is the vendor's cursor: opaque, and free of credentials.
    next: Ref | None = None

    def __iter__(self) -> Iterator[T]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)
