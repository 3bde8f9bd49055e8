from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from fairlead.errors import StateLostError, StorageError
from fairlead.resilience.shared_rate import SharedRate
from fairlead.storage.leases import Ask, Grant, Span
from fairlead.testing.clock import FakeClock
from memory_leases import MemoryLeases
from timers import Timers


class Store(MemoryLeases):
    """A store that may be out of reach, or answer only when it is let."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock.wall)
        self.is_lost = False
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.asks: list[Ask] = []

    async def lease(self, key: str, spans: Sequence[Span], ask: Ask) -> Grant:
        if self.is_lost:
            raise StorageError
        self.asks.append(ask)
        grant = await super().lease(key, spans, ask)
        await self.may_answer.wait()
        return grant


class Shared:
    """A limit with its clock, timers and store."""

    def __init__(self, amount: float = 10, per_s: float = 1.0, *, beside: Shared | None = None) -> None:
        self.clock: FakeClock = beside.clock if beside else FakeClock()
        self.timers: Timers = beside.timers if beside else Timers()
        self.store: Store = beside.store if beside else Store(self.clock)
        self.started = 0
        self.rate = SharedRate(
            "k",
            (Span(amount, per_s),),
            self.store,
            process="a" if beside is None else "b",
            clock=self.clock,
            start=self.start,
            later=self.timers.later,
        )

    async def start(self) -> None:
        self.started += 1
        await self.rate.share()

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.timers.advance(seconds)


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_the_first_turn_waits_for_the_start_and_the_next_ones_for_nothing() -> None:
    shared = Shared(1000)
    assert not shared.rate.admit()
    for _ in range(20):
        assert await shared.rate.take() == 0
        shared.advance(0.01)
        await settle()
    asked = len(shared.store.asks)
    assert shared.rate.admit()
    assert (shared.started, len(shared.store.asks)) == (1, asked)


async def test_many_callers_are_served_by_one_ask_and_in_their_order() -> None:
    shared = Shared(100)
    order: list[int] = []

    async def call(number: int) -> None:
        await shared.rate.take(longest_wait_s=1)
        order.append(number)

    await asyncio.gather(*(call(number) for number in range(50)))
    assert order == list(range(50))
    assert len(shared.store.asks) <= 3


async def test_beyond_the_limit_calls_wait_until_their_lease_begins() -> None:
    shared = Shared(2)
    assert [await shared.rate.take() for _ in range(2)] == [0, 0]
    third = asyncio.ensure_future(shared.rate.take(longest_wait_s=5))
    await settle()
    shared.advance(0.9)
    await settle()
    assert not third.done()
    shared.advance(0.2)
    await settle()
    assert third.done()
    assert third.result() == pytest.approx(1.1)


async def test_who_will_not_wait_is_told_when_to_come_again() -> None:
    shared = Shared(2)
    for _ in range(2):
        await shared.rate.take()
    assert await shared.rate.take() is None
    assert shared.rate.retry_after_s() == pytest.approx(1.0, abs=0.01)


async def test_who_stands_behind_others_for_too_long_is_sent_away() -> None:
    shared = Shared(1)
    await shared.rate.take()
    patient = asyncio.ensure_future(shared.rate.take(longest_wait_s=60))
    await settle()
    impatient = asyncio.ensure_future(shared.rate.take(longest_wait_s=0.1))
    await settle()
    shared.advance(0.7)
    await settle()
    assert impatient.done()
    assert impatient.result() is None
    shared.advance(0.5)
    await settle()
    assert patient.done()


async def test_a_cancelled_caller_leaves_its_turn_to_the_next() -> None:
    shared = Shared(1)
    await shared.rate.take()
    first, second = (asyncio.ensure_future(shared.rate.take(longest_wait_s=60)) for _ in range(2))
    await settle()
    first.cancel()
    await settle()
    shared.advance(1.1)
    await settle()
    assert second.done()


async def test_who_waits_when_the_store_is_lost_goes_by_the_share_of_this_process() -> None:
    shared = Shared(10)
    await shared.rate.take()
    shared.store.may_answer.clear()
    waiting = [asyncio.ensure_future(shared.rate.take()) for _ in range(10)]
    await settle()
    shared.rate.go_alone(2)
    await settle()
    # Five are this process's share, and one of them is spent.
    assert [each.result() for each in waiting] == [0.0] * 4 + [None] * 6


async def test_an_answer_from_before_the_loss_grants_nothing() -> None:
    shared = Shared(10)
    await shared.rate.take()
    shared.advance(1.5)
    shared.store.may_answer.clear()
    waiting = asyncio.ensure_future(shared.rate.take(longest_wait_s=5))
    await settle()
    shared.rate.refuse()
    with pytest.raises(StateLostError):
        await waiting
    shared.store.may_answer.set()
    await settle()
    await shared.rate.share()
    assert shared.rate._leased.in_hand == 0


async def test_what_was_spent_alone_counts_when_the_store_is_back() -> None:
    shared = Shared(10)
    other = Shared(10, beside=shared)
    await shared.rate.take()
    await other.rate.take()
    for each in (shared, other):
        each.rate.go_alone(2)
    assert [await shared.rate.take() for _ in range(5)] == [0, 0, 0, 0, None]
    for each in (shared, other):
        await each.rate.share()
    taken = [await other.rate.take() for _ in range(6)]
    # Ten, less one each from before and four alone; what was leased and not spent counts until its lease is over.
    assert 0 < taken.count(0) <= 4


async def test_with_fewer_points_than_processes_each_goes_less_often() -> None:
    shared = Shared(1)
    shared.rate.go_alone(4)
    assert await shared.rate.take() == 0
    assert await shared.rate.take() is None
    assert shared.rate.retry_after_s() == pytest.approx(4.0)


async def test_at_the_end_what_is_in_hand_is_given_back() -> None:
    shared = Shared(1000)
    for _ in range(20):
        await shared.rate.take()
        shared.advance(0.01)
        await settle()
    assert shared.rate._leased.in_hand > 0
    await shared.rate.close()
    other = Shared(1000, beside=shared)
    await other.rate.take()
    assert shared.store._limits["k"].logs[0].used <= 22
