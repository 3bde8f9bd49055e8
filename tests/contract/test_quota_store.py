"""What every store of quotas does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from fairlead.storage.quotas import MemoryQuotas, QuotaStore
from fairlead.storage.redis_state import RedisQuotas
from redis_server import PROGRAMS, RedisServer
from shared_stores import client_of


@pytest.fixture(params=("memory", *PROGRAMS))
def store(request: pytest.FixtureRequest, servers: Callable[[str], RedisServer]) -> QuotaStore:
    return MemoryQuotas() if request.param == "memory" else RedisQuotas(client_of(servers(request.param)), "t")


async def test_it_counts_up_to_the_most_and_no_further(store: QuotaStore) -> None:
    assert await store.add("k", 3, slot=5, slots=1, most=4)
    assert not await store.add("k", 1.5, slot=5, slots=1, most=4)
    assert await store.add("k", 1, slot=5, slots=1, most=4)
    assert await store.used("k", slot=5, slots=1) == 4


async def test_a_refusal_counts_nothing(store: QuotaStore) -> None:
    assert not await store.add("k", 5, slot=5, slots=1, most=4)
    assert await store.used("k", slot=5, slots=1) == 0


async def test_fractions_add_up(store: QuotaStore) -> None:
    assert [await store.add("k", 0.1, slot=0, slots=1, most=1.0) for _ in range(11)] == [True] * 10 + [False]


async def test_slots_leave_as_time_goes_on(store: QuotaStore) -> None:
    for slot in range(4):
        assert await store.add("k", 1, slot=slot, slots=3, most=3)
    assert await store.used("k", slot=3, slots=3) == 3
    assert await store.used("k", slot=5, slots=3) == 1
    assert await store.used("k", slot=9, slots=3) == 0


async def test_a_clock_that_goes_back_gives_nothing_away(store: QuotaStore) -> None:
    assert await store.add("k", 1, slot=7, slots=1, most=1)
    assert not await store.add("k", 1, slot=6, slots=1, most=1)


async def test_keys_are_apart(store: QuotaStore) -> None:
    await store.add("a", 1, slot=0, slots=1, most=1)
    assert await store.used("b", slot=0, slots=1) == 0


async def test_a_correction_is_made_whatever_it_comes_to(store: QuotaStore) -> None:
    await store.add("k", 2, slot=0, slots=1, most=2)
    await store.correct("k", 5, slot=0, slots=1)
    assert await store.used("k", slot=0, slots=1) == 7
    await store.correct("k", -100, slot=0, slots=1)
    assert await store.used("k", slot=0, slots=1) == 0


async def test_a_correction_of_a_slot_that_has_left_changes_nothing(store: QuotaStore) -> None:
    await store.add("k", 2, slot=0, slots=2, most=9)
    await store.add("k", 1, slot=5, slots=2, most=9)
    await store.correct("k", -2, slot=0, slots=2)
    await store.correct("k", 3, slot=0, slots=2)
    assert await store.used("k", slot=5, slots=2) == 1


async def test_it_is_raised_and_never_lowered(store: QuotaStore) -> None:
    await store.raise_to("k", 4, slot=1, slots=2)
    assert await store.used("k", slot=1, slots=2) == 4
    await store.add("k", 3, slot=2, slots=2, most=9)
    await store.raise_to("k", 5, slot=2, slots=2)
    assert await store.used("k", slot=2, slots=2) == 7


async def test_many_at_once_never_pass_the_most(store: QuotaStore) -> None:
    results = await asyncio.gather(*(store.add("k", 1, slot=0, slots=1, most=50) for _ in range(200)))
    assert sum(results) == 50
