"""A cache of answers: fresh for a while, served for a while longer while a fresh one is fetched, or in need.

What may be kept, and how long, is decided when an answer is stored: by the user's settings, by the terms of the
vendor that gave it, and for plain reads by what the vendor says (`fairlead.spec.http_cache`). Stale-while-revalidate
and stale-if-error are RFC 5861 §3 and §4.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import msgspec

from fairlead.model.lives import Lives
from fairlead.storage.answers import AnswerStore


class Entry(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """A kept answer, or what the vendor has not. `age_s` is how old it was when it was stored.

    With `varies` it is no answer: it names the fields of the request on which the answer depends (RFC 9111 §4.1).
    """

    value: bytes
    served_by: str
    lives: Lives
    age_s: float = 0.0
    is_negative: bool = False
    varies: tuple[str, ...] = ()


class Found(NamedTuple):
    """An entry, and how old it is now."""

    entry: Entry
    age_s: float


class Asked:
    """What was dropped while somebody asked: an answer that began before may be of before, and is not kept."""

    __slots__ = ("tags",)

    def __init__(self) -> None:
        self.tags: set[str] = set()


class Cache:
    """Keeps answers in a store."""

    def __init__(self, store: AnswerStore) -> None:
        self.store = store
        self._asking: set[Asked] = set()

    async def find(self, key: str) -> Found | None:
        """Return what is kept, whatever it is good for."""
        kept = await self.store.get(key)
        if kept is None:
            return None
        try:
            entry = _DECODER.decode(kept.value)
        except msgspec.DecodeError:  # of another version, in a store that outlives us
            await self.store.drop(key)
            return None
        return Found(entry, entry.age_s + kept.age_s)

    @contextmanager
    def asking(self) -> Iterator[Asked]:
        """Watch for what is dropped, as long as somebody asks."""
        asked = Asked()
        self._asking.add(asked)
        try:
            yield asked
        finally:
            self._asking.discard(asked)

    async def keep(
        self, key: str, entry: Entry, *, tags: Collection[str] = (), asked: Asked | None = None, keep_s: float = 0.0
    ) -> bool:
        """Keep an answer until it is good for nothing, and at least for `keep_s`; return whether it was."""
        if asked is not None and not asked.tags.isdisjoint(tags):
            return False  # and what is there may be of after
        ttl_s = max(entry.lives.longest_s() - entry.age_s, keep_s)
        if ttl_s <= 0:
            await self.store.drop(key)
            return False
        await self.store.put(key, _ENCODER.encode(entry), ttl_s=ttl_s, tags=tags)
        return True

    async def drop(self, key: str) -> None:
        """Forget an answer."""
        await self.store.drop(key)

    def outdate(self, tags: Collection[str]) -> None:
        """Keep nothing that has any of the tags and is just being asked for."""
        for asked in self._asking:
            asked.tags.update(tags)

    async def drop_tags(self, tags: Collection[str]) -> int:
        """Forget what has any of the tags, and keep nothing of the sort that is just being asked for."""
        self.outdate(tags)
        return sum([await self.store.drop_tag(tag) for tag in tags])


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Entry)
