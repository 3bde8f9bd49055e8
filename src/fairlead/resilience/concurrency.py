"""A bulkhead: bounds the requests under way at one connection, and the lines of those that wait.

There are two lines, each bounded: people who wait (`INTERACTIVE`) go before work that nobody watches (`BACKGROUND`).
So that the latter is late, and not never, every eighth place that comes free while both wait is theirs: background
work moves at an eighth of the pace at least. Within a line, first come is first served.

A waiter that is cancelled leaves its line, or hands on the place it had just been given: capacity never leaks. The
limit may move while requests are under way; where it falls, places are not given again until it is kept.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from enum import IntEnum
from math import inf
from typing import Protocol

from fairlead.resilience.adaptive import AdaptiveLimit

#: While both wait, one place of so many goes to the background.
_BACKGROUND_TURN = 8


class Priority(IntEnum):
    """Who goes first when a place comes free."""

    #: Somebody waits for the answer.
    INTERACTIVE = 0
    #: It may be late.
    BACKGROUND = 1


class Timer(Protocol):
    """A call that is still to come."""

    def cancel(self) -> None:
        """Let it not come."""
        ...


#: Calls back after so many seconds. An event loop's `call_later` is one.
Later = Callable[[float, Callable[[], None]], Timer]


def _by_the_loop(seconds: float, callback: Callable[[], None]) -> Timer:
    return asyncio.get_running_loop().call_later(seconds, callback)


class Concurrency:
    """At most `limit` at once, and at most `queue` waiting in each line, for `queue_s` seconds at most.

    With `adaptive` the limit follows what `record` is told. `later` is the timer of the waits.
    """

    __slots__ = ("_adaptive", "_later", "_lines", "_queue", "_queue_s", "_turn", "free", "limit", "waiting")

    def __init__(
        self,
        *,
        limit: int,
        queue: int,
        queue_s: float = inf,
        adaptive: AdaptiveLimit | None = None,
        later: Later = _by_the_loop,
    ) -> None:
        self.limit = adaptive.limit if adaptive else limit
        #: Places that nobody has; below 0 where the limit has fallen below what is under way. While somebody waits
        #: there are none, for whatever comes free is given on at once.
        self.free = self.limit
        #: How many wait.
        self.waiting = 0
        self._queue = queue
        self._queue_s = queue_s
        self._adaptive = adaptive
        self._later = later
        self._turn = 0
        #: Ordered by arrival. A place is had when its future is True, and lost when it is False.
        self._lines = (OrderedDict[asyncio.Future[bool], None](), OrderedDict[asyncio.Future[bool], None]())

    def admit(self) -> bool:
        """Take a place if one is free; then nobody waits for it."""
        if self.free > 0:
            self.free -= 1
            return True
        return False

    @property
    def is_adaptive(self) -> bool:
        """Whether it wants to be told how long exchanges take."""
        return self._adaptive is not None

    def is_full(self, priority: Priority = Priority.INTERACTIVE) -> bool:
        """Whether even the line has no room."""
        return len(self._lines[priority]) >= self._queue

    async def wait(self, seconds: float, priority: Priority = Priority.INTERACTIVE) -> bool:
        """Wait in line for a place for so many seconds; return whether it was had."""
        if self.admit():
            return True
        place: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        line = self._lines[priority]
        line[place] = None
        self.waiting += 1

        def give_up() -> None:
            if not place.done():
                self._leave(line, place)
                place.set_result(False)

        timer = self._later(min(seconds, self._queue_s), give_up)
        try:
            return await place
        except asyncio.CancelledError:
            if place.cancelled():
                self._leave(line, place)
            elif place.result():
                self.release()
            raise
        finally:
            timer.cancel()

    def release(self) -> None:
        """Give a place back; it goes to the first in line."""
        self.free += 1
        if self.waiting:
            self._serve()

    def disown(self) -> None:
        """Have every place free, and nobody waiting: after a fork, those are the parent's."""
        self.free = self.limit
        self.waiting = 0
        for line in self._lines:
            line.clear()

    def record(self, seconds: float, *, now: float, is_drop: bool = False) -> None:
        """Learn from an exchange that took so many seconds; a drop is a timeout, or a vendor that is overloaded.

        To be told before the place is released, and never of one that was cancelled.
        """
        if self._adaptive:
            limit = self._adaptive.record(seconds, now=now, in_flight=self.limit - self.free, is_drop=is_drop)
            if limit != self.limit:
                self.resize(limit)

    def resize(self, limit: int) -> None:
        """Move the limit; where it rises, those who wait are served."""
        self.free += limit - self.limit
        self.limit = limit
        if self.waiting:
            self._serve()

    def _serve(self) -> None:
        """Hand free places on."""
        while self.free > 0 and self.waiting:
            line = self._next_line()
            place, _ = line.popitem(last=False)
            self.waiting -= 1
            if not place.done():  # cancelled, and not yet told
                self.free -= 1
                place.set_result(True)

    def _next_line(self) -> OrderedDict[asyncio.Future[bool], None]:
        interactive, background = self._lines
        if not (interactive and background):
            self._turn = 0
            return interactive or background
        self._turn = (self._turn + 1) % _BACKGROUND_TURN
        return interactive if self._turn else background

    def _leave(self, line: OrderedDict[asyncio.Future[bool], None], place: asyncio.Future[bool]) -> None:
        if place in line:
            del line[place]
            self.waiting -= 1
