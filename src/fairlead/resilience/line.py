"""A line in front of a connection that many keys share: a turn of the limits and a place of the bulkhead, at once.

Who waits for a turn must hold no place, or a key that its own limit holds back takes the places of all others. So both
are given together, in the order of the fair line (see `fair.py`). What runs in the background does not stand in line.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from heapq import heappop, heappush
from itertools import count
from math import inf

from fairlead.model.ports import Clock
from fairlead.resilience.concurrency import Concurrency
from fairlead.resilience.fair import FairLine, Place


class Line:
    """The line. At most `queue` of each key wait, for `queue_s` at the longest."""

    def __init__(
        self, fair: FairLine, concurrency: Concurrency, *, clock: Clock, queue: int, queue_s: float = inf
    ) -> None:
        self._fair = fair
        self._concurrency = concurrency
        self._clock = clock
        self._queue = queue
        self._queue_s = queue_s
        self._futures: dict[Place, asyncio.Future[None]] = {}
        #: (until, order of arrival, place): whose time is over first.
        self._ends: list[tuple[float, int, Place]] = []
        self._numbers = count()
        self._alarm: asyncio.Task[None] | None = None
        self._rings_at = inf
        self._left_behind: list[object] = []

    def enter_now(self, key: Hashable, cost: float, now: float, *, is_background: bool = False) -> Place | None:
        """Take a turn and a place, where both are free; else neither."""
        has_room = self._concurrency.free > 0
        return self._admitted(self._fair.join(key, now, cost, has_room=has_room, is_background=is_background))

    def is_full(self, key: Hashable) -> bool:
        """Whether so many of a key wait that no other may."""
        return self._fair.waiting(key) >= self._queue

    async def enter(self, key: Hashable, cost: float, patience_s: float) -> Place | None:
        """Wait for a turn and a place; return None, and take neither, where that is too long."""
        longest_wait_s, has_room = min(patience_s, self._queue_s), self._concurrency.free > 0
        place = self._fair.join(key, self._clock.monotonic(), cost, longest_wait_s=longest_wait_s, has_room=has_room)
        if place is None or place.has_turn:
            return self._admitted(place)
        future = self._futures[place] = asyncio.get_running_loop().create_future()
        heappush(self._ends, (place.until, next(self._numbers), place))
        self.wake()
        try:
            await future
        except BaseException:
            if _has_turn(place):
                self.give_back(place)
            else:
                self._fair.leave(place)
            raise
        finally:
            self._futures.pop(place, None)
        return place if _has_turn(place) else None

    def give_back(self, place: Place) -> None:
        """Give a turn and a place back that were not used."""
        self._fair.give_back(place)
        self._concurrency.release()
        self.wake()

    def retry_after_s(self, key: Hashable, now: float, cost: float, *, is_background: bool = False) -> float:
        """Return the seconds until the limits would let a request go, if nobody else were there."""
        return self._fair.retry_after_s(key, now, cost, is_background=is_background)

    def wake(self) -> None:
        """Let go whoever may: the time has come, or a place came free."""
        if not self._futures:
            return
        now = self._clock.monotonic()
        for place in self._fair.serve(now, room=max(0, self._concurrency.free)):
            self._end(self._admitted(place) or place)
        while self._ends and (self._ends[0][2].is_over or self._ends[0][0] <= now):
            place = heappop(self._ends)[2]
            if not place.is_over:
                self._fair.leave(place)
                self._end(place)
        self._set_alarm(now)

    def disown(self) -> None:
        """Have nobody waiting: after a fork, those are the parent's."""
        self._left_behind += [self._alarm, *self._futures.values()]
        self._alarm, self._rings_at = None, inf
        self._futures = {}
        self._ends.clear()
        self._fair.clear()

    def _admitted(self, place: Place | None) -> Place | None:
        """Take the place that goes with a turn; it is free, as was looked before."""
        if place is not None and place.has_turn:
            self._concurrency.admit()
        return place

    def _end(self, place: Place) -> None:
        future = self._futures.get(place)
        if future is not None and not future.done():
            future.set_result(None)

    def _set_alarm(self, now: float) -> None:
        """Ring when somebody may go, or has waited long enough. Where no place is free, the next to leave wakes us."""
        at = self._ends[0][0] if self._ends else inf
        free_at = self._fair.next_at(now) if self._concurrency.free > 0 else None
        if free_at is not None and free_at < at:
            at = free_at
        if at == self._rings_at:
            return
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        self._rings_at = at
        if at < inf:
            self._alarm = asyncio.get_running_loop().create_task(self._ring(max(0.0, at - now)))

    async def _ring(self, wait_s: float) -> None:
        await self._clock.sleep(wait_s)
        self._alarm, self._rings_at = None, inf  # it has rung, and is not to cancel itself
        self.wake()


def _has_turn(place: Place) -> bool:
    """Whether it was let go meanwhile."""
    return place.has_turn
