"""Clocks for tests: one stands still until it is told otherwise, the other goes and can be set forward."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from fairlead.runtime.ports import SystemClock

#: 2026-01-01T12:00:00Z, in seconds since 1970.
NOON = 1_767_268_800.0


class FakeClock:
    """A clock that moves only by `advance` and by the waits themselves. It is a `Clock`.

    `slept` lists every wait, in seconds, in the order asked for.
    """

    def __init__(self, *, monotonic: float = 1000.0, wall: float = NOON) -> None:
        self._monotonic = monotonic
        self._wall = wall
        self.slept: list[float] = []

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return self._monotonic

    def wall(self) -> float:
        """Return seconds since 1970 in UTC."""
        return self._wall

    async def sleep(self, seconds: float) -> None:
        """Let the time pass at once, and other tasks run."""
        self.slept.append(seconds)
        self.advance(seconds)
        await asyncio.sleep(0)

    def advance(self, seconds: float) -> None:
        """Let time pass; raise `ValueError` for a step back."""
        if seconds < 0:
            raise ValueError(f"Time does not go back by {-seconds} s.")
        self._monotonic += seconds
        self._wall += seconds


class ForwardClock:
    """The machine's time, and what it was set forward by: whoever sleeps then wakes up as much earlier.

    It is a `Clock`, for what takes an hour and shall be shown in a moment. Set it forward only while nothing is under
    way: a request that waits for its answer would be out of time.
    """

    def __init__(self) -> None:
        self._machine = SystemClock()
        self._ahead_s = 0.0
        self._is_set = asyncio.Event()

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return self._machine.monotonic() + self._ahead_s

    def wall(self) -> float:
        """Return seconds since 1970 in UTC."""
        return self._machine.wall() + self._ahead_s

    async def sleep(self, seconds: float) -> None:
        """Wait, as long as that is by this clock."""
        until = self.monotonic() + seconds
        await asyncio.sleep(0)
        while (left_s := until - self.monotonic()) > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await self._is_set.wait()

    def set_forward(self, seconds: float) -> None:
        """Let time pass; raise `ValueError` for a step back."""
        if seconds < 0:
            raise ValueError(f"Time does not go back by {-seconds} s.")
        self._ahead_s += seconds
        is_set, self._is_set = self._is_set, asyncio.Event()
        is_set.set()
