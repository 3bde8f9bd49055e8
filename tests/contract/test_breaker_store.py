"""What every store of breakers does. Its time is the test's own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from fairlead.storage.breakers import BreakerStore, Proposal, Shared
from fairlead.storage.redis_state import RedisBreakers
from fairlead.testing.clock import FakeClock
from memory_breakers import MemoryBreakers
from redis_server import PROGRAMS, RedisServer
from shared_stores import client_of


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=("memory", *PROGRAMS))
def store(request: pytest.FixtureRequest, clock: FakeClock, servers: Callable[[str], RedisServer]) -> BreakerStore:
    if request.param == "memory":
        return MemoryBreakers(clock.wall)
    return RedisBreakers(client_of(servers(request.param)), "t", now=clock.wall)


def opened(generation: int = 0, *, probe: int = 0) -> Proposal:
    return Proposal(state="open", generation=generation, open_for_s=5.0, cause="unavailable", probe=probe)


async def test_what_nobody_changed_is_closed(store: BreakerStore) -> None:
    assert await store.learn("b") == Shared(key="b")


async def test_a_change_holds_and_is_told(store: BreakerStore, clock: FakeClock) -> None:
    expected = Shared(key="b", generation=1, state="open", open_for_s=5, left_s=5, cause="unavailable")
    assert await store.propose("b", opened()) == expected
    clock.advance(2)
    assert (await store.learn("b")).left_s == pytest.approx(3)
    clock.advance(9)
    assert (await store.learn("b")).left_s == 0
    assert (await store.learn("other")).generation == 0


async def test_a_change_is_published(store: BreakerStore) -> None:
    heard: asyncio.Queue[Shared] = asyncio.Queue()
    store.listen(heard.put_nowait)
    told = await store.propose("b", opened())
    assert await asyncio.wait_for(heard.get(), 5) == told


async def test_of_two_that_propose_from_one_generation_the_first_holds(store: BreakerStore) -> None:
    await store.propose("b", opened())
    late = await store.propose("b", Proposal(state="closed", generation=0))
    assert (late.state, late.generation) == ("open", 1)


async def test_a_store_that_has_forgotten_takes_over_the_generation_of_others(store: BreakerStore) -> None:
    assert (await store.propose("b", opened(41))).generation == 42


async def test_one_process_has_the_probe(store: BreakerStore, clock: FakeClock) -> None:
    await store.propose("b", opened())
    assert await store.lease_probe("b", 1, "p", 30.0) == 0, "it is still open"
    clock.advance(5)
    number = await store.lease_probe("b", 1, "p", 30.0)
    assert number > 0
    assert await store.lease_probe("b", 1, "q", 30.0) == 0
    clock.advance(31)
    assert await store.lease_probe("b", 1, "q", 30.0) > number


async def test_an_old_generation_has_no_probe(store: BreakerStore, clock: FakeClock) -> None:
    await store.propose("b", opened())
    await store.propose("b", opened(1))
    clock.advance(6)
    assert await store.lease_probe("b", 1, "p", 30.0) == 0
    assert await store.lease_probe("b", 2, "p", 30.0) > 0


async def test_a_probe_that_is_given_up_is_free(store: BreakerStore, clock: FakeClock) -> None:
    await store.propose("b", opened())
    clock.advance(5)
    await store.lease_probe("b", 1, "p", 30.0)
    await store.lease_probe("b", 1, "p", 0.0)
    assert await store.lease_probe("b", 1, "q", 30.0) > 0


async def test_only_who_has_the_probe_says_what_it_found(store: BreakerStore, clock: FakeClock) -> None:
    await store.propose("b", opened())
    clock.advance(5)
    old = await store.lease_probe("b", 1, "p", 1.0)
    clock.advance(2)
    new = await store.lease_probe("b", 1, "q", 30.0)
    late = await store.propose("b", Proposal(state="closed", generation=1, probe=old))
    assert (late.state, late.generation) == ("open", 1)
    good = await store.propose("b", Proposal(state="closed", generation=1, probe=new))
    assert (good.state, good.generation) == ("closed", 2)


async def test_what_is_done_by_hand_holds_whatever_the_generation(store: BreakerStore) -> None:
    await store.propose("b", opened())
    held = await store.propose("b", Proposal(state="forced_closed", generation=0, by_hand=True))
    assert (held.state, held.generation) == ("forced_closed", 2)
