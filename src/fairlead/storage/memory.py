"""A bounded store in this process's memory: the least recently used entry goes first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

V = TypeVar("V")


class MemoryStore(Generic[V]):
    """Keeps at most `max_entries` values."""

    def __init__(self, max_entries: int) -> None:
        self._max_entries = max_entries
        self._values: OrderedDict[Hashable, V] = OrderedDict()

    def get(self, key: Hashable) -> V | None:
        """Return a value, and count that as a use."""
        value = self._values.get(key)
        if value is not None:
            self._values.move_to_end(key)
        return value

    def put(self, key: Hashable, value: V) -> None:
        """Keep a value; the one not used for longest makes room."""
        self._values[key] = value
        self._values.move_to_end(key)
        if len(self._values) > self._max_entries:
            self._values.popitem(last=False)

    def drop(self, key: Hashable) -> None:
        """Forget a value, where there is one."""
        self._values.pop(key, None)

    def __len__(self) -> int:
        return len(self._values)
