"""Timers that ring, and waits that end, when a test lets the time pass."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from fairlead.testing.clock import FakeClock


class _Timer:
    def __init__(self, at: float, callback: Callable[[], None]) -> None:
        self.at = at
        self.callback = callback
        self.is_set = True

    def cancel(self) -> None:
        self.is_set = False


class Timers:
    """`later` is what a strategy is given in place of the event loop's `call_later`."""

    def __init__(self) -> None:
        self.now = 0.0
        self._timers: list[_Timer] = []

    def later(self, seconds: float, callback: Callable[[], None]) -> _Timer:
        timer = _Timer(self.now + seconds, callback)
        self._timers.append(timer)
        return timer

    @property
    def waits(self) -> list[float]:
        """How long each that is set has still to go."""
        return [timer.at - self.now for timer in self._timers if timer.is_set]

    def advance(self, seconds: float) -> None:
        """Let time pass; what is due rings, in its order."""
        self.now += seconds
        due = sorted((timer for timer in self._timers if timer.at <= self.now), key=lambda timer: timer.at)
        self._timers = [timer for timer in self._timers if timer.at > self.now and timer.is_set]
        for timer in due:
            if timer.is_set:
                timer.is_set = False
                timer.callback()


class HeldClock(FakeClock):
    """A fake clock whose waits end when a test lets the time pass, and not by themselves."""

    def __init__(self) -> None:
        super().__init__()
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    @property
    def sleeping(self) -> int:
        """How many wait."""
        return sum(not future.done() for _, future in self._sleepers)

    async def sleep(self, seconds: float) -> None:
        """Wait until the time has passed."""
        self.slept.append(seconds)
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self.monotonic() + seconds, woken))
        await woken

    def advance(self, seconds: float) -> None:
        """Let time pass, and wake who is due."""
        super().advance(seconds)
        for at, woken in self._sleepers:
            if at <= self.monotonic() and not woken.done():
                woken.set_result(None)
        self._sleepers = [each for each in self._sleepers if not each[1].done()]
