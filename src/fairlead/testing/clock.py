"""A clock for tests: it stands still until it is told otherwise."""

from __future__ import annotations

import asyncio

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
