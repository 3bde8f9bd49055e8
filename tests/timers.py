"""Timers that ring when a test lets the time pass."""

from __future__ import annotations

from collections.abc import Callable


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
