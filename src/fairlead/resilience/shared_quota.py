"""A quota that many processes share, and what holds while the store is lost.

Each process also counts what it used itself. While the store is lost it may use its share of the quota, less that; what
it used meanwhile is counted in the store when that is back. Or nothing may be used, as the settings say.
"""

from __future__ import annotations

from math import inf

from fairlead.errors import StateLostError, StorageError
from fairlead.storage.quotas import MemoryQuotas, QuotaStore


class SharedQuotas:
    """The port of quotas, over a store that may be lost."""

    def __init__(self, store: QuotaStore, *, is_refusing: bool) -> None:
        self._store = store
        self._is_refusing = is_refusing
        self._own = MemoryQuotas()
        #: What the store was not told: for each key and slot its points, and how many slots count.
        self._unsaid: dict[tuple[str, int], tuple[float, int]] = {}
        #: By how many the quotas are divided while the store is lost.
        self.processes = 1

    async def add(self, key: str, points: float, *, slot: int, slots: int, most: float) -> bool:
        """Count points, if they fit; raise `StateLostError` where the store is lost and the settings refuse."""
        try:
            has_room = await self._store.add(key, points, slot=slot, slots=slots, most=most)
        except StorageError:
            self._refuse()
            if not await self._own.add(key, points, slot=slot, slots=slots, most=most / self.processes):
                return False
            self._keep(key, points, slot, slots)
            return True
        if has_room:
            await self._own.add(key, points, slot=slot, slots=slots, most=inf)
        return has_room

    async def correct(self, key: str, points: float, *, slot: int, slots: int) -> None:
        """Change a slot; where the store is lost, it is told later."""
        await self._own.correct(key, points, slot=slot, slots=slots)
        try:
            await self._store.correct(key, points, slot=slot, slots=slots)
        except StorageError:
            self._keep(key, points, slot, slots)

    async def raise_to(self, key: str, points: float, *, slot: int, slots: int) -> None:
        """Count what is missing; where the store is lost, by this process alone."""
        try:
            await self._store.raise_to(key, points, slot=slot, slots=slots)
        except StorageError:
            await self._own.raise_to(key, points / self.processes, slot=slot, slots=slots)

    async def used(self, key: str, *, slot: int, slots: int) -> float:
        """Return the sum; while the store is lost, what this process used, as often as there are processes."""
        try:
            return await self._store.used(key, slot=slot, slots=slots)
        except StorageError:
            self._refuse()
            return await self._own.used(key, slot=slot, slots=slots) * self.processes

    async def heal(self) -> None:
        """Tell the store what it missed."""
        while self._unsaid:
            (key, slot), (points, slots) = next(iter(self._unsaid.items()))
            await self._store.correct(key, points, slot=slot, slots=slots)
            del self._unsaid[key, slot]

    def _keep(self, key: str, points: float, slot: int, slots: int) -> None:
        before, _ = self._unsaid.get((key, slot), (0.0, slots))
        self._unsaid[key, slot] = (before + points, slots)

    def _refuse(self) -> None:
        if self._is_refusing:
            raise StateLostError(hint='Bring the store of state.url back, or set state.on_loss = "scale".') from None
