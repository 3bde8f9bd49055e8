"""Time for libraries that read the clock themselves: one number behind every clock of the standard library.

`install` comes before the first library is imported. From then on no wait takes real time: when nothing is left to do,
the event loop jumps to its next timer. When there is none either, it waits as any loop does, and the runner ends it.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import Callable
from typing import Any, Self

_REAL_SLEEP = asyncio.sleep
_Date = dt.datetime


# No two readings of a real clock are quite the same, and a timer is always a little late.
TICK_S = 1e-5
# How long a thread is waited for, in real time, before time goes on without it.
_THREAD_S = 0.002


class Clock:
    """Monotonic and wall time, in seconds; the latter can be set."""

    def __init__(self) -> None:
        self.monotonic = 1000.0
        self.wall_offset = 1_750_000_000.0
        self.slept: list[float] = []
        #: A wait passes when nobody has anything else to do, and not at once.
        self.is_held = False

    def wall(self) -> float:
        """Return the seconds since 1970."""
        return self.monotonic + self.wall_offset

    async def sleep(self, seconds: float, result: Any = None) -> Any:
        """Note the wait, and let it pass at once."""
        if self.is_held:
            return await _REAL_SLEEP(seconds, result)
        if seconds > 0:
            self.slept.append(float(seconds))
            self.monotonic += seconds
        return await _REAL_SLEEP(0, result)


CLOCK = Clock()


class _FakeDate(_Date):
    @classmethod
    def now(cls, tz: dt.tzinfo | None = None) -> Self:
        return cls.fromtimestamp(CLOCK.wall(), tz)

    @classmethod
    def utcnow(cls) -> Self:
        return cls.fromtimestamp(CLOCK.wall(), dt.UTC).replace(tzinfo=None)


class Loop(asyncio.SelectorEventLoop):
    """An event loop on this clock."""

    def time(self) -> float:
        """Return the time of the timers."""
        return CLOCK.monotonic

    def _run_once(self) -> None:
        if not self._ready and self._default_executor is not None:
            self._process_events(self._selector.select(_THREAD_S))
        if not self._ready:
            due = [timer.when() for timer in self._scheduled if not timer.cancelled()]
            if due:
                CLOCK.monotonic = max(CLOCK.monotonic, min(due)) + TICK_S
        super()._run_once()


def install() -> None:
    """Put the one number behind every clock."""
    clocks: dict[str, Callable[[], float]] = {
        "time": CLOCK.wall,
        "monotonic": lambda: CLOCK.monotonic,
        "perf_counter": lambda: CLOCK.monotonic,
    }
    for name, read in clocks.items():
        setattr(time, name, read)
        setattr(time, f"{name}_ns", lambda read=read: int(read() * 1e9))
    time.sleep = lambda seconds: setattr(CLOCK, "monotonic", CLOCK.monotonic + seconds)  # noqa: TID251
    dt.datetime = _FakeDate
    asyncio.sleep = CLOCK.sleep
