"""Several processes' breakers over one store, in a made-up time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from fairlead.errors import StorageError
from fairlead.resilience.breaker import BreakerOptions, State
from fairlead.resilience.shared_breaker import BreakerLink, SharedBreaker
from fairlead.storage.breakers import Proposal, Shared
from fairlead.testing.clock import FakeClock
from memory_breakers import MemoryBreakers

OPTIONS = BreakerOptions(window=4, min_attempts=2, open_s=5.0, max_open_s=60.0, lease_s=30.0)


class Counted(MemoryBreakers):
    """Counts what is asked, and may be out of reach."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(clock)
        self.asked = 0
        self.is_lost = False

    def _ask(self) -> None:
        self.asked += 1
        if self.is_lost:
            raise StorageError

    async def propose(self, key: str, proposal: Proposal) -> Shared:
        self._ask()
        return await super().propose(key, proposal)

    async def learn(self, key: str) -> Shared:
        self._ask()
        return await super().learn(key)

    async def lease_probe(self, key: str, generation: int, process: str, lease_s: float) -> int:
        self._ask()
        return await super().lease_probe(key, generation, process, lease_s)


class Fleet:
    """So many processes."""

    def __init__(self, number: int) -> None:
        self.clock = FakeClock()
        self.store = Counted(self.clock.wall)
        self.changes: list[list[tuple[State, State]]] = [[] for _ in range(number)]
        self.links = [self._link(at) for at in range(number)]

    def _link(self, at: int) -> BreakerLink:
        breaker = SharedBreaker(OPTIONS, on_change=lambda before, after, _: self.changes[at].append((before, after)))
        link = BreakerLink("vendor", breaker, self.store, process=f"p{at}", clock=self.clock)
        self.store.listen(link.hear)
        return link

    async def join(self) -> None:
        for link in self.links:
            await link.join()
        self.store.asked = 0

    async def attempt(self, at: int, *, is_good: bool) -> bool:
        """Make an attempt; return whether it was let go."""
        link = self.links[at]
        await link.prepare()
        ticket = link.breaker.admit(self.clock.monotonic())
        if ticket is None:
            return False
        link.breaker.record(ticket, is_good=is_good, now=self.clock.monotonic(), cause=None if is_good else "connect")
        await link.close()
        return True

    @property
    def states(self) -> list[State]:
        return [link.breaker.state for link in self.links]


async def fleet(number: int = 3) -> Fleet:
    made = Fleet(number)
    await made.join()
    return made


async def broken(number: int = 3) -> Fleet:
    """Return some of which the first has opened it for all."""
    made = await fleet(number)
    for _ in range(2):
        await made.attempt(0, is_good=False)
    return made


async def test_closed_it_asks_nobody() -> None:
    made = await fleet()
    for at in range(300):
        assert await made.attempt(at % 3, is_good=True)
    assert made.store.asked == 0


async def test_the_first_that_opens_opens_it_for_all_and_each_is_told_why() -> None:
    made = await broken()
    assert made.states == [State.OPEN] * 3
    assert made.changes == [[(State.CLOSED, State.OPEN)]] * 3
    assert made.links[2].breaker.cause == "connect"
    assert made.links[2].breaker.retry_after_s(made.clock.monotonic()) == pytest.approx(5.0)
    assert made.store.asked == 1


async def test_one_process_probes_and_closes_it_for_all() -> None:
    made = await broken()
    made.clock.advance(5.0)
    await asyncio.gather(*(link.prepare() for link in made.links))
    tickets = [link.breaker.admit(made.clock.monotonic()) for link in made.links]
    assert [ticket is not None for ticket in tickets] == [True, False, False]
    assert tickets[0] is not None
    made.links[0].breaker.record(tickets[0], is_good=True, now=made.clock.monotonic())
    await made.links[0].close()
    assert made.states == [State.CLOSED] * 3


async def test_a_probe_that_fails_keeps_it_open_for_all_and_twice_as_long() -> None:
    made = await broken()
    made.clock.advance(5.0)
    assert await made.attempt(1, is_good=False)
    assert made.states == [State.OPEN] * 3
    made.clock.advance(9.9)
    assert not await made.attempt(2, is_good=True)
    made.clock.advance(0.2)
    assert await made.attempt(2, is_good=True)
    assert made.states == [State.CLOSED] * 3


async def test_a_probe_whose_process_died_makes_room_after_its_lease() -> None:
    made = await broken()
    made.clock.advance(5.0)
    await made.links[0].prepare()
    assert made.links[0].breaker.admit(made.clock.monotonic()) is not None
    made.clock.advance(29.0)
    assert not await made.attempt(1, is_good=True)
    made.clock.advance(2.0)
    assert await made.attempt(1, is_good=True)
    assert made.states == [State.CLOSED] * 3


async def test_a_late_probe_changes_nothing() -> None:
    made = await broken()
    made.clock.advance(5.0)
    late = made.links[0]
    await late.prepare()
    ticket = late.breaker.admit(made.clock.monotonic())
    assert ticket is not None
    made.clock.advance(31.0)
    assert await made.attempt(1, is_good=False)
    late.breaker.record(ticket, is_good=True, now=made.clock.monotonic())
    await late.close()
    assert made.states == [State.OPEN] * 3


async def test_a_probe_that_came_to_nothing_is_another_processs() -> None:
    made = await broken()
    made.clock.advance(5.0)
    await made.links[0].prepare()
    ticket = made.links[0].breaker.admit(made.clock.monotonic())
    assert ticket is not None
    made.links[0].breaker.release(ticket)
    await made.links[0].close()
    assert await made.attempt(1, is_good=True)
    assert made.states == [State.CLOSED] * 3


async def test_who_comes_later_learns_what_holds() -> None:
    made = await broken()
    made.clock.advance(2.0)
    late = Fleet(1)
    late.clock, late.store = made.clock, made.store
    link = late._link(0)
    await link.join()
    assert link.breaker.state is State.OPEN
    assert link.breaker.retry_after_s(made.clock.monotonic()) == pytest.approx(3.0)


async def test_alone_it_is_an_ordinary_breaker_and_tells_later() -> None:
    made = await fleet()
    made.store.is_lost = True
    for link in made.links:
        link.part()
    for _ in range(2):
        await made.attempt(0, is_good=False)
    assert made.states == [State.OPEN, State.CLOSED, State.CLOSED]
    made.clock.advance(5.0)
    assert await made.attempt(0, is_good=False), "alone, it probes by itself"
    made.store.is_lost = False
    await made.join()
    assert made.states == [State.OPEN] * 3


async def test_a_store_that_has_forgotten_is_told_what_holds() -> None:
    made = await broken()
    made.store._records.clear()
    await made.join()
    assert made.states == [State.OPEN] * 3
    assert (await made.store.learn("vendor")).state == "open"


async def test_what_is_done_by_hand_holds_for_all() -> None:
    made = await fleet()
    made.links[1].breaker.force_open()
    await made.links[1].close()
    assert made.states == [State.FORCED_OPEN] * 3
    made.links[2].breaker.resume()
    await made.links[2].close()
    assert made.states == [State.OPEN, State.OPEN, State.HALF_OPEN]
    assert await made.attempt(0, is_good=True), "it is time to probe"
    assert made.states == [State.CLOSED] * 3
    made.links[0].breaker.force_closed()
    await made.links[0].close()
    assert made.states == [State.FORCED_CLOSED] * 3
