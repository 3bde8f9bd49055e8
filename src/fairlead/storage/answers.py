"""What the cache keeps: the port, and the driver that keeps it in this process's memory.

`tests/contract/test_answer_store.py` is the suite that every driver passes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from typing import NamedTuple, Protocol

from fairlead.model.ports import Clock

#: What an entry takes beside its value: the key, the objects around it, and its places in the indexes. About so much.
_OVERHEAD_BYTES = 500


class Kept(NamedTuple):
    """A value, and for how many seconds it has been kept."""

    value: bytes
    age_s: float


class AnswerStore(Protocol):
    """Keeps bytes for a while, each under a key and any number of tags.

    The store tells the age: so nobody compares the clocks of two machines. It may forget whatever it likes, and never
    gives what is older than its `ttl_s`, or what was dropped.
    """

    async def get(self, key: str) -> Kept | None:
        """Return what is kept, or None."""
        ...

    async def put(self, key: str, value: bytes, *, ttl_s: float, tags: Collection[str] = ()) -> None:
        """Keep a value for `ttl_s`, in place of what was there."""
        ...

    async def drop(self, key: str) -> None:
        """Forget a key, where it is there."""
        ...

    async def drop_tag(self, tag: str) -> int:
        """Forget everything under a tag; return how much that was."""
        ...


class _Entry(NamedTuple):
    value: bytes
    stored_at: float
    until: float
    tags: frozenset[str]

    @property
    def size(self) -> int:
        return len(self.value) + sum(map(len, self.tags)) + _OVERHEAD_BYTES


class MemoryAnswers:
    """The store of one process: what was not used for longest makes room. It never waits."""

    def __init__(self, clock: Clock, *, max_entries: int, max_bytes: int) -> None:
        self._clock = clock
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._tagged: dict[str, set[str]] = {}
        self.used_bytes = 0

    async def get(self, key: str) -> Kept | None:
        """Return what is kept, and count that as a use."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        now = self._clock.monotonic()
        if now >= entry.until:
            self._forget(key)
            return None
        self._entries.move_to_end(key)
        return Kept(entry.value, now - entry.stored_at)

    async def put(self, key: str, value: bytes, *, ttl_s: float, tags: Collection[str] = ()) -> None:
        """Keep a value; one that alone is too large is not kept."""
        self._forget(key)
        now = self._clock.monotonic()
        entry = _Entry(value, now, now + ttl_s, frozenset(tags))
        if ttl_s <= 0 or entry.size > self._max_bytes:
            return
        self._entries[key] = entry
        self.used_bytes += entry.size
        for tag in entry.tags:
            self._tagged.setdefault(tag, set()).add(key)
        while len(self._entries) > self._max_entries or self.used_bytes > self._max_bytes:
            self._forget(next(iter(self._entries)))

    async def drop(self, key: str) -> None:
        """Forget a key."""
        self._forget(key)

    async def drop_tag(self, tag: str) -> int:
        """Forget everything under a tag."""
        keys = tuple(self._tagged.get(tag, ()))
        for key in keys:
            self._forget(key)
        return len(keys)

    def _forget(self, key: str) -> None:
        entry = self._entries.pop(key, None)
        if entry is None:
            return
        self.used_bytes -= entry.size
        for tag in entry.tags:
            keys = self._tagged[tag]
            keys.discard(key)
            if not keys:
                del self._tagged[tag]

    def __len__(self) -> int:
        return len(self._entries)
