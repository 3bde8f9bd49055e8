"""What every store does that tells processes of limits that are used up. A driver joins by its line in `store`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from fairlead.storage.redis_state import RedisSpent
from fairlead.storage.spent import Spent, SpentStore
from fairlead.testing.clock import FakeClock
from memory_spent import MemorySpent
from redis_server import PROGRAMS, RedisServer
from shared_stores import client_of

DAY = Spent(key="shop", name="day", left_s=60.0, fresh=100.0, span_s=86_400.0)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=["memory", *PROGRAMS])
def store(request: pytest.FixtureRequest, clock: FakeClock, servers: Callable[[str], RedisServer]) -> SpentStore:
    if request.param == "memory":
        return MemorySpent(clock.wall)
    return RedisSpent(client_of(servers(request.param)), "t", now=clock.wall)


async def test_nothing_is_known_at_first(store: SpentStore) -> None:
    assert list(await store.learn("shop")) == []


async def test_who_comes_later_learns_what_is_left_of_it(store: SpentStore, clock: FakeClock) -> None:
    await store.tell(DAY)
    clock.advance(45)
    (told,) = await store.learn("shop")
    assert told == replace(DAY, left_s=pytest.approx(15, abs=0.001))
    assert list(await store.learn("other")) == []


async def test_what_is_over_is_forgotten(store: SpentStore, clock: FakeClock) -> None:
    await store.tell(DAY)
    await store.tell(replace(DAY, name="month", left_s=3600.0))
    clock.advance(61)
    assert [each.name for each in await store.learn("shop")] == ["month"]


async def test_the_last_word_of_a_limit_counts(store: SpentStore) -> None:
    await store.tell(DAY)
    await store.tell(replace(DAY, left_s=10.0, fresh=7.0))
    (told,) = await store.learn("shop")
    assert told == replace(DAY, fresh=7.0, left_s=pytest.approx(10, abs=0.001))


async def test_what_is_told_is_heard_at_once(store: SpentStore) -> None:
    heard: asyncio.Queue[Spent] = asyncio.Queue()
    store.listen(heard.put_nowait)
    await store.learn("shop")  # whoever listens is there with the first command
    await store.tell(DAY)
    assert await asyncio.wait_for(heard.get(), 5) == DAY


@pytest.mark.parametrize("name", ["", "a b", "\u00e9 {x}:\n", "x" * 200])
async def test_any_name_comes_back_as_it_was(store: SpentStore, name: str) -> None:
    await store.tell(replace(DAY, name=name))
    assert [each.name for each in await store.learn("shop")] == [name]
