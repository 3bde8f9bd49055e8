"""A bulkhead: bounds the requests under way at one connection, and the queue of those that wait."""

from __future__ import annotations

import asyncio
from collections import deque


class Concurrency:
    """At most `limit` at once, and at most `queue` waiting, first come first served.

    A waiter that is cancelled leaves the queue, or hands on the place it had just been given: capacity never leaks.
    """

    __slots__ = ("_queue", "_waiters", "free", "limit")

    def __init__(self, *, limit: int, queue: int) -> None:
        self.limit = limit
        self.free = limit
        self._queue = queue
        self._waiters: deque[asyncio.Future[None]] = deque()

    def admit(self) -> bool:
        """Take a place if one is free and nobody waits for it."""
        if self.free and not self._waiters:
            self.free -= 1
            return True
        return False

    @property
    def is_full(self) -> bool:
        """Whether even the queue has no room."""
        return len(self._waiters) >= self._queue

    async def wait(self, seconds: float) -> bool:
        """Queue for a place for so many seconds; return whether it was had."""
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(place)
        try:
            async with asyncio.timeout(seconds):
                await place
        except TimeoutError:
            return self._give_up(place)
        except asyncio.CancelledError:
            if self._give_up(place):
                self.release()
            raise
        return True

    def release(self) -> None:
        """Give a place back; it goes to the first in the queue."""
        while self._waiters:
            place = self._waiters.popleft()
            if not place.done():
                place.set_result(None)
                return
        self.free += 1

    def disown(self) -> None:
        """Have every place free, and nobody waiting: after a fork, those are the parent's."""
        self.free = self.limit
        self._waiters.clear()

    def _give_up(self, place: asyncio.Future[None]) -> bool:
        """Leave the queue; return whether the place had been given all the same."""
        if place.done() and not place.cancelled():
            return True
        if place in self._waiters:
            self._waiters.remove(place)
        return False
