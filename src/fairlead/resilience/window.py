"""The last attempts, counted: how many, how many failed, how many were slow. By number, or by age.

Both are O(1) an attempt and allocate nothing: sums are kept, and what leaves the window is taken off them
(subtract on evict). By age, attempts lie in a ring of buckets, so that a window holds between nine and ten tenths
of its seconds.
"""

from __future__ import annotations

from typing import Protocol

#: The marks of an attempt, to be added up; 0 is a good and quick one.
FAILED, SLOW = 1, 2

_BUCKETS = 10


class Window(Protocol):
    """What a strategy knows of the last attempts."""

    total: int
    failed: int
    slow: int

    @property
    def is_spotless(self) -> bool:
        """Whether another good and quick attempt would change nothing, so that it need not be told."""
        ...

    def add(self, mark: int, now: float) -> None:
        """Count an attempt."""
        ...

    def clear(self) -> None:
        """Forget all of them."""
        ...


class CountWindow:
    """The last `size` attempts, however old."""

    __slots__ = ("_at", "_marks", "_size", "failed", "slow", "total")

    def __init__(self, size: int) -> None:
        self._size = size
        self._marks = bytearray(size)
        self._at = 0
        self.total = self.failed = self.slow = 0

    @property
    def is_spotless(self) -> bool:
        """Whether it is full of good ones."""
        return self.total == self._size and not self.failed and not self.slow

    def add(self, mark: int, now: float) -> None:  # noqa: ARG002  # the time is for the other window
        """Count an attempt in place of the oldest."""
        at = self._at
        if self.total < self._size:
            self.total += 1
        old = self._marks[at]
        if old != mark:
            self._marks[at] = mark
            self.failed += (mark & FAILED) - (old & FAILED)
            self.slow += (mark >> 1) - (old >> 1)
        at += 1
        self._at = at if at < self._size else 0

    def clear(self) -> None:
        """Forget all of them."""
        self._marks[:] = bytes(self._size)
        self._at = self.total = self.failed = self.slow = 0


class TimeWindow:
    """The attempts of the last `seconds`, however many."""

    __slots__ = ("_failed", "_fresh", "_per_s", "_rolls_at", "_slow", "_tick", "_totals", "failed", "slow", "total")

    def __init__(self, seconds: float) -> None:
        self._per_s = _BUCKETS / seconds
        self._totals = [0] * _BUCKETS
        self._failed = [0] * _BUCKETS
        self._slow = [0] * _BUCKETS
        self._tick = 0
        #: The good and quick ones of the present bucket; they join the totals when it is over.
        self._fresh = 0
        #: When the next bucket begins, up to rounding; 0 where that is to be worked out.
        self._rolls_at = 0.0
        self.total = self.failed = self.slow = 0

    @property
    def is_spotless(self) -> bool:
        """Never: each one lowers the share of those that failed before, or will fail."""
        return False

    def add_good(self, now: float) -> None:
        """Count a good and quick attempt: what almost all calls do."""
        if now >= self._rolls_at:
            self.advance(now)
        self._fresh += 1
        self.total += 1

    def add(self, mark: int, now: float) -> None:
        """Count an attempt."""
        self.advance(now)
        at = self._tick % _BUCKETS
        self._totals[at] += 1
        self.total += 1
        if mark:
            failed, slow = mark & FAILED, mark >> 1
            self._failed[at] += failed
            self._slow[at] += slow
            self.failed += failed
            self.slow += slow

    def advance(self, now: float) -> None:
        """Let go of what has grown too old, before the sums are read."""
        tick = int(now * self._per_s)
        if tick > self._tick:
            self._roll(tick)

    def clear(self) -> None:
        """Forget all of them."""
        tick = self._tick
        self._roll(tick + _BUCKETS)
        self._tick, self._rolls_at = tick, 0.0

    def _roll(self, tick: int) -> None:
        """Empty the buckets that come round again: at most all of them, however long nothing happened."""
        self._totals[self._tick % _BUCKETS] += self._fresh
        self._fresh = 0
        for passed in range(min(tick - self._tick, _BUCKETS)):
            at = (tick - passed) % _BUCKETS
            self.total -= self._totals[at]
            self.failed -= self._failed[at]
            self.slow -= self._slow[at]
            self._totals[at] = self._failed[at] = self._slow[at] = 0
        self._tick = tick
        self._rolls_at = (tick + 1) / self._per_s
