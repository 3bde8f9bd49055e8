"""One page of a list. It stays with the vendor that started it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Generic, TypeVar

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


class ListPage(Answer, Generic[T], frozen=True, kw_only=True):
    """Some items of a list asked for over plain HTTP, and the place from which it goes on.

    `position` is plain JSON, small and free of credentials: save it once the items are dealt with. After the last page
    it stands for the end, from which nothing more comes.
    """

    items: tuple[T, ...]
    position: Mapping[str, Any]
    is_last: bool = False

    def __iter__(self) -> Iterator[T]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)
