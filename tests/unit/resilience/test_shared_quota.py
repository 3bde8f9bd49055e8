from __future__ import annotations

import pytest

from fairlead.errors import StateLostError, StorageError
from fairlead.resilience.shared_quota import SharedQuotas
from fairlead.storage.quotas import MemoryQuotas


class Lossy(MemoryQuotas):
    """A store that may be out of reach."""

    is_lost = False

    async def add(self, key: str, points: float, *, slot: int, slots: int, most: float) -> bool:
        self._check()
        return await super().add(key, points, slot=slot, slots=slots, most=most)

    async def correct(self, key: str, points: float, *, slot: int, slots: int) -> None:
        self._check()
        await super().correct(key, points, slot=slot, slots=slots)

    async def raise_to(self, key: str, points: float, *, slot: int, slots: int) -> None:
        self._check()
        await super().raise_to(key, points, slot=slot, slots=slots)

    async def used(self, key: str, *, slot: int, slots: int) -> float:
        self._check()
        return await super().used(key, slot=slot, slots=slots)

    def _check(self) -> None:
        if self.is_lost:
            raise StorageError


async def add(quotas: SharedQuotas, points: float) -> bool:
    return await quotas.add("k", points, slot=7, slots=1, most=10)


async def test_while_it_is_lost_each_process_keeps_its_share_less_what_it_used() -> None:
    store = Lossy()
    first, second = (SharedQuotas(store, is_refusing=False) for _ in range(2))
    first.processes = second.processes = 2
    assert await add(first, 3)
    store.is_lost = True
    assert [await add(first, 1) for _ in range(3)] == [True, True, False]
    assert [await add(second, 1) for _ in range(6)] == [True] * 5 + [False]
    assert await first.used("k", slot=7, slots=1) == 10
    store.is_lost = False
    await first.heal()
    await second.heal()
    assert await store.used("k", slot=7, slots=1) == 10
    assert not await add(first, 1)


async def test_what_is_settled_while_it_is_lost_is_told_later_and_once() -> None:
    store = Lossy()
    quotas = SharedQuotas(store, is_refusing=False)
    await add(quotas, 8)
    store.is_lost = True
    await quotas.correct("k", -5, slot=7, slots=1)
    store.is_lost = False
    await quotas.heal()
    await quotas.heal()
    assert await store.used("k", slot=7, slots=1) == 3
    assert await add(quotas, 7)


async def test_the_vendors_word_counts_while_it_is_lost() -> None:
    store = Lossy()
    quotas = SharedQuotas(store, is_refusing=False)
    quotas.processes = 2
    store.is_lost = True
    await quotas.raise_to("k", 10, slot=7, slots=1)
    assert not await add(quotas, 1)


async def test_where_the_settings_say_so_nothing_is_used_while_it_is_lost() -> None:
    store = Lossy()
    quotas = SharedQuotas(store, is_refusing=True)
    store.is_lost = True
    with pytest.raises(StateLostError):
        await add(quotas, 1)
    with pytest.raises(StateLostError):
        await quotas.used("k", slot=7, slots=1)
