"""What every store of answers does. A driver joins by its line in `store`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from fairlead.storage.answers import AnswerStore, Kept, MemoryAnswers
from fairlead.storage.redis_answers import RedisAnswers
from fairlead.testing.clock import FakeClock
from redis_server import PROGRAMS, RedisServer
from shared_stores import client_of


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=["memory", *PROGRAMS])
def store(request: pytest.FixtureRequest, clock: FakeClock, servers: Callable[[str], RedisServer]) -> AnswerStore:
    if request.param == "memory":
        return MemoryAnswers(clock, max_entries=1_000, max_bytes=10_000_000)
    return RedisAnswers(client_of(servers(request.param)), "t", now=clock.monotonic)


async def test_what_was_never_kept_is_not_there(store: AnswerStore) -> None:
    assert await store.get("k") is None


@pytest.mark.parametrize("value", [b"", b"\0\xff\r\n", b"x" * 100_000])
async def test_any_bytes_come_back_as_they_were(store: AnswerStore, value: bytes) -> None:
    await store.put("k", value, ttl_s=10)
    assert await store.get("k") == Kept(value, 0.0)


async def test_it_tells_how_long_a_value_has_been_kept(store: AnswerStore, clock: FakeClock) -> None:
    await store.put("k", b"v", ttl_s=10)
    clock.advance(7.5)
    kept = await store.get("k")
    assert kept is not None
    assert kept.age_s == pytest.approx(7.5, abs=0.01)


async def test_a_value_ends_with_its_time(store: AnswerStore, clock: FakeClock) -> None:
    await store.put("k", b"v", ttl_s=10)
    clock.advance(9.9)
    assert await store.get("k") is not None
    clock.advance(0.2)
    assert await store.get("k") is None


async def test_a_new_value_takes_the_place_the_time_and_the_tags_of_the_old(
    store: AnswerStore, clock: FakeClock
) -> None:
    await store.put("k", b"old", ttl_s=10, tags=["a"])
    clock.advance(6)
    await store.put("k", b"new", ttl_s=10, tags=["b"])
    clock.advance(6)
    assert await store.drop_tag("a") == 0
    kept = await store.get("k")
    assert kept is not None
    assert kept.value == b"new"
    assert kept.age_s == pytest.approx(6, abs=0.01)


async def test_what_is_given_no_time_is_not_kept_and_takes_the_old_along(store: AnswerStore) -> None:
    await store.put("k", b"old", ttl_s=10)
    await store.put("k", b"new", ttl_s=0)
    assert await store.get("k") is None


async def test_what_was_dropped_is_gone(store: AnswerStore) -> None:
    await store.put("k", b"v", ttl_s=10, tags=["a"])
    await store.drop("k")
    await store.drop("never")
    assert await store.get("k") is None
    assert await store.drop_tag("a") == 0


async def test_a_tag_drops_what_has_it_and_nothing_else(store: AnswerStore) -> None:
    await store.put("one", b"1", ttl_s=10, tags=["a", "b"])
    await store.put("two", b"2", ttl_s=10, tags=["b"])
    await store.put("three", b"3", ttl_s=10, tags=["c", "a:b"])
    assert await store.drop_tag("b") == 2
    assert [await store.get(key) for key in ("one", "two")] == [None, None]
    assert await store.get("three") is not None
    assert [await store.drop_tag(tag) for tag in ("a", "b", "never", "c")] == [0, 0, 0, 1]


async def test_a_dropped_key_can_be_kept_again(store: AnswerStore) -> None:
    await store.put("k", b"1", ttl_s=10, tags=["a"])
    await store.drop_tag("a")
    await store.put("k", b"2", ttl_s=10, tags=["a"])
    assert await store.get("k") == Kept(b"2", 0.0)
    assert await store.drop_tag("a") == 1


async def test_many_at_once_do_not_disturb_each_other(store: AnswerStore) -> None:
    async def one(at: int) -> bool:
        await store.put(f"k{at}", str(at).encode(), ttl_s=10, tags=[f"t{at % 3}"])
        kept = await store.get(f"k{at}")
        return kept is not None and kept.value == str(at).encode()

    assert all(await asyncio.gather(*(one(at) for at in range(90))))
    assert await store.drop_tag("t1") == 30
