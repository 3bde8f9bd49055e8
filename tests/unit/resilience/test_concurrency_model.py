"""The bulkhead, whatever the order in which callers come, go, give up and are cancelled."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from itertools import pairwise

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from fairlead.resilience.concurrency import Concurrency, Priority
from timers import Timers

LIMIT, QUEUE = 2, 3


class WhateverTheOrder(RuleBasedStateMachine):
    """Single turns of the loop lie anywhere in between, so that each race is run."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.timers = Timers()
        self.room = Concurrency(limit=LIMIT, queue=QUEUE, later=self.timers.later)
        self.tasks: list[asyncio.Task[None]] = []
        self.doors: dict[int, asyncio.Event] = {}
        self.order: dict[Priority, list[int]] = defaultdict(list)

    async def call(self, number: int, patience_s: float, priority: Priority) -> None:
        task = asyncio.current_task()
        assert task is not None
        if not self.room.admit():
            if self.room.is_full(priority):
                return
            has_place = await self.room.wait(patience_s, priority)
            assert task.cancelling() == 0
            if not has_place:
                return
            self.order[priority].append(number)
        door = self.doors[number] = asyncio.Event()
        try:
            await door.wait()
        finally:
            del self.doors[number]
            self.room.release()

    @rule(patience_s=st.integers(min_value=0, max_value=5), priority=st.sampled_from(Priority))
    def come(self, patience_s: int, priority: Priority) -> None:
        self.tasks.append(self.loop.create_task(self.call(len(self.tasks), patience_s, priority)))

    @precondition(lambda self: self.doors)
    @rule(data=st.data())
    def go(self, data: st.DataObject) -> None:
        self.doors[data.draw(st.sampled_from(sorted(self.doors)))].set()

    @precondition(lambda self: self.tasks)
    @rule(data=st.data())
    def is_cancelled(self, data: st.DataObject) -> None:
        data.draw(st.sampled_from(self.tasks)).cancel()

    @rule(seconds=st.integers(min_value=0, max_value=5))
    def time_passes(self, seconds: int) -> None:
        self.timers.advance(seconds)

    @rule(limit=st.integers(min_value=1, max_value=2 * LIMIT))
    def the_limit_moves(self, limit: int) -> None:
        self.room.resize(limit)

    @rule()
    def the_loop_turns(self) -> None:
        self.loop.call_soon(self.loop.stop)
        self.loop.run_forever()

    @invariant()
    def never_more_than_the_limit(self) -> None:
        assert len(self.doors) <= self.room.limit - min(self.room.free, 0)  # it may just have fallen
        assert len(self.doors) <= 2 * LIMIT

    @invariant()
    def nobody_waits_beside_a_free_place(self) -> None:
        assert self.room.free <= 0 or not self.room.waiting
        assert self.room.waiting == sum(map(len, self.room._lines))

    @invariant()
    def in_the_order_of_their_coming(self) -> None:
        for order in self.order.values():
            assert all(one < other for one, other in pairwise(order))

    def teardown(self) -> None:
        for _ in range(5):  # what is left is cancelled, and hands on what it had just been given
            for task in self.tasks:
                task.cancel()
            self.the_loop_turns()
        self.loop.close()
        assert all(task.done() for task in self.tasks)
        assert not [task for task in self.tasks if not task.cancelled() and task.exception()]
        assert (self.room.free, self.room.waiting) == (self.room.limit, 0)
        assert self.timers.waits == []


TestWhateverTheOrder = WhateverTheOrder.TestCase
TestWhateverTheOrder.settings = settings(max_examples=100, stateful_step_count=40)
