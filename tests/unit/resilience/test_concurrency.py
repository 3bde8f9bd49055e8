from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from fairlead.resilience.concurrency import Concurrency

PATIENCE_S = 60.0


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def full(limit: int = 1, queue: int = 10) -> Concurrency:
    room = Concurrency(limit=limit, queue=queue)
    while room.admit():
        pass
    return room


def waiters(room: Concurrency, count: int, seconds: float = PATIENCE_S) -> list[asyncio.Task[bool]]:
    return [asyncio.create_task(room.wait(seconds)) for _ in range(count)]


async def test_so_many_and_no_more() -> None:
    room = Concurrency(limit=2, queue=1)
    assert [room.admit() for _ in range(3)] == [True, True, False]
    room.release()
    assert room.admit()


async def test_the_queue_has_an_end() -> None:
    room = full(queue=2)
    tasks: list[asyncio.Task[bool]] = []
    was_full = []
    for _ in range(2):
        was_full.append(room.is_full)
        tasks += waiters(room, 1)
        await turns()
    assert (was_full, room.is_full) == ([False, False], True)
    for _ in tasks:
        room.release()
    assert await asyncio.gather(*tasks) == [True, True]


def test_without_a_queue_it_is_always_full() -> None:
    assert Concurrency(limit=1, queue=0).is_full


async def test_first_come_first_served() -> None:
    room, order = full(), list[int]()
    tasks = waiters(room, 3)
    for number, task in enumerate(tasks):
        task.add_done_callback(lambda _, number=number: order.append(number))  # type: ignore[misc]
    for _ in tasks:
        await turns()
        room.release()
    await asyncio.gather(*tasks)
    await turns()
    assert order == [0, 1, 2]


async def test_nobody_passes_those_who_wait() -> None:
    room = full()
    (task,) = waiters(room, 1)
    await turns()
    room.release()
    assert not room.admit()  # the place is given already
    assert await task
    room.release()
    assert room.admit()


async def test_waiting_ends() -> None:
    room = full()
    task = asyncio.current_task()
    assert task is not None
    has_place = await room.wait(0.0)
    assert (has_place, task.cancelling()) == (False, 0)
    room.release()
    assert room.free == 1


async def test_a_place_given_as_time_runs_out_is_had_or_given_on() -> None:
    room = full()
    (task,) = waiters(room, 1, seconds=0.0)
    await asyncio.sleep(0)  # it waits, and its time runs out with this turn
    room.release()
    has_place = await task
    assert room.free == (0 if has_place else 1)


@pytest.mark.parametrize("count", [1, 3])
async def test_those_who_are_cancelled_leave_the_queue(count: int) -> None:
    room = full(queue=count)
    tasks = waiters(room, count)
    await turns()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert not room.is_full
    room.release()
    assert room.free == 1


Step = Callable[[Concurrency, asyncio.Task[bool]], None]


def release_then_cancel(room: Concurrency, task: asyncio.Task[bool]) -> None:
    room.release()
    task.cancel()


def cancel_then_release(room: Concurrency, task: asyncio.Task[bool]) -> None:
    task.cancel()
    room.release()


@pytest.mark.parametrize("step", [release_then_cancel, cancel_then_release])
@pytest.mark.parametrize("others", [0, 1])
async def test_a_place_given_to_one_who_is_cancelled_at_once_goes_on(step: Step, others: int) -> None:
    room = full()
    first, *rest = waiters(room, 1 + others)
    await turns()
    step(room, first)
    with pytest.raises(asyncio.CancelledError):
        await first
    assert await asyncio.gather(*rest) == [True] * others
    assert room.free == 1 - others


# --- Whatever the order -------------------------------------------------------------------------------------------

LIMIT, QUEUE = 2, 3


class TimeByHand(asyncio.SelectorEventLoop):
    """An event loop whose time passes when the test says so."""

    now = 0.0

    def time(self) -> float:
        return self.now


class WhateverTheOrder(RuleBasedStateMachine):
    """Callers come, go, give up and are cancelled; single turns of the loop lie anywhere in between."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = TimeByHand()
        self.room = Concurrency(limit=LIMIT, queue=QUEUE)
        self.tasks: list[asyncio.Task[None]] = []
        self.doors: dict[int, asyncio.Event] = {}
        self.order: list[int] = []

    async def call(self, number: int, patience_s: float) -> None:
        task = asyncio.current_task()
        assert task is not None
        if not self.room.admit():
            if self.room.is_full:
                return
            has_place = await self.room.wait(patience_s)
            assert task.cancelling() == 0
            if not has_place:
                return
            self.order.append(number)
        door = self.doors[number] = asyncio.Event()
        try:
            await door.wait()
        finally:
            del self.doors[number]
            self.room.release()

    @rule(patience_s=st.integers(min_value=0, max_value=5))
    def come(self, patience_s: int) -> None:
        self.tasks.append(self.loop.create_task(self.call(len(self.tasks), patience_s)))

    @precondition(lambda self: self.doors)
    @rule(data=st.data())
    def go(self, data: st.DataObject) -> None:
        self.doors[data.draw(st.sampled_from(sorted(self.doors)))].set()

    @precondition(lambda self: self.tasks)
    @rule(data=st.data())
    def is_cancelled(self, data: st.DataObject) -> None:
        data.draw(st.sampled_from(self.tasks)).cancel()

    @rule(seconds=st.integers(min_value=1, max_value=5))
    def time_passes(self, seconds: int) -> None:
        self.loop.now += seconds

    @rule()
    def the_loop_turns(self) -> None:
        self.loop.call_soon(self.loop.stop)
        self.loop.run_forever()

    @invariant()
    def never_more_than_the_limit(self) -> None:
        assert len(self.doors) <= LIMIT

    @invariant()
    def in_the_order_of_their_coming(self) -> None:
        assert all(one < other for one, other in pairwise(self.order))

    def teardown(self) -> None:
        for _ in range(5):  # what is left is cancelled, and hands on what it had just been given
            for task in self.tasks:
                task.cancel()
            self.the_loop_turns()
        self.loop.close()
        assert all(task.done() for task in self.tasks)
        assert not [task for task in self.tasks if not task.cancelled() and task.exception()]
        assert (self.room.free, len(self.room._waiters)) == (LIMIT, 0)


TestWhateverTheOrder = WhateverTheOrder.TestCase
TestWhateverTheOrder.settings = settings(max_examples=100, stateful_step_count=40)
