"""A cache of answers: fresh for a while, and stale for a while longer when nothing fresh can be had.

What may be kept, and how long, is decided when an answer is stored: by the user's settings, and by the terms of the
vendor that gave it. Stale-if-error is RFC 5861 §4.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, NamedTuple

from fairlead.storage.memory import MemoryStore


class Entry(NamedTuple):
    """A kept answer, and the monotonic instants that bound its use."""

    value: Any
    stored_at: float
    fresh_until: float
    stale_until: float


class Cache:
    """Keeps answers in a store."""

    __slots__ = ("_store",)

    def __init__(self, store: MemoryStore[Entry]) -> None:
        self._store = store

    def fresh(self, key: Hashable, now: float) -> Entry | None:
        """Return an answer that is as good as a new one."""
        entry = self._store.get(key)
        return entry if entry and now < entry.fresh_until else None

    def stale(self, key: Hashable, now: float) -> Entry | None:
        """Return an answer that may be served because no vendor could give another; forget one past its age."""
        entry = self._store.get(key)
        if entry and now >= max(entry.stale_until, entry.fresh_until):
            self._store.drop(key)
            return None
        return entry

    def keep(self, key: Hashable, value: Any, *, now: float, fresh_s: float, stale_s: float) -> None:
        """Keep an answer: fresh for `fresh_s`, and servable for `stale_s`, both from now."""
        if max(fresh_s, stale_s) > 0:
            self._store.put(key, Entry(value, now, now + fresh_s, now + stale_s))
