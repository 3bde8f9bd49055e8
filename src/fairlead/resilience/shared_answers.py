"""Kept answers that many processes share, and what holds while their store is lost: nothing is kept, and all is asked.

What was dropped meanwhile must not come back with the store. So tags are remembered, and dropped there first of all.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from weakref import WeakSet

from fairlead.errors import StorageError
from fairlead.resilience.cache import Cache
from fairlead.storage.answers import AnswerStore, Kept

# Beyond so many, the oldest are not remembered: what they were about ends with its own time.
_MOST_UNSAID = 10_000


class SharedAnswers:
    """The port of answers, over a store that may be lost; `start` is awaited before it is asked."""

    def __init__(self, store: AnswerStore, *, start: Callable[[], Awaitable[None]]) -> None:
        self._store = store
        self._start = start
        #: What the store was not told was dropped, oldest first.
        self._unsaid_tags: dict[str, None] = {}
        self._unsaid_keys: dict[str, None] = {}
        self._caches: WeakSet[Cache] = WeakSet()

    def cache(self) -> Cache:
        """Make a cache on this store, that hears what others drop."""
        made = Cache(self)
        self._caches.add(made)
        return made

    def hear_dropped(self, tag: str) -> None:
        """Keep no answer that somebody is just asking for, and another process has dropped."""
        for cache in self._caches:
            cache.outdate((tag,))

    async def get(self, key: str) -> Kept | None:
        """Return what is kept; a lost store has nothing."""
        await self._start()
        if key in self._unsaid_keys or self._unsaid_tags:
            return None
        try:
            return await self._store.get(key)
        except StorageError:  # who keeps the connection tells of it
            return None

    async def put(self, key: str, value: bytes, *, ttl_s: float, tags: Collection[str] = ()) -> None:
        """Keep a value, where the store is there."""
        await self._start()
        try:
            await self._store.put(key, value, ttl_s=ttl_s, tags=tags)
        except StorageError:
            _note(self._unsaid_keys, key)  # an older one may be there

    async def drop(self, key: str) -> None:
        """Forget a key, at the latest when the store is back."""
        await self._start()
        try:
            await self._store.drop(key)
        except StorageError:
            _note(self._unsaid_keys, key)

    async def drop_tag(self, tag: str) -> int:
        """Forget everything under a tag, at the latest when the store is back; then it is not known how much."""
        await self._start()
        try:
            return await self._store.drop_tag(tag)
        except StorageError:
            _note(self._unsaid_tags, tag)
            return 0

    async def heal(self) -> None:
        """Tell the store what it missed."""
        while self._unsaid_tags:
            tag = next(iter(self._unsaid_tags))
            await self._store.drop_tag(tag)
            self._unsaid_tags.pop(tag, None)
        while self._unsaid_keys:
            key = next(iter(self._unsaid_keys))
            await self._store.drop(key)
            self._unsaid_keys.pop(key, None)


def _note(unsaid: dict[str, None], what: str) -> None:
    unsaid[what] = None
    if len(unsaid) > _MOST_UNSAID:
        del unsaid[next(iter(unsaid))]
