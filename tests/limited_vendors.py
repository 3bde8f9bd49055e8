"""Vendors that enforce exactly the limit they publish, each in its own way, by remembering everything."""

from __future__ import annotations

from bisect import bisect_right
from typing import Protocol

#: Vendors count up to rounding: their windows are shorter, and their buckets larger, by this share.
ROUNDING = 1e-7


class Vendor(Protocol):
    """Says of each request, in the order of arrival, whether it is within the limit."""

    def takes(self, at: float, cost: float = 1.0) -> bool: ...


class FixedWindows:
    """So many in each window of the clock; the first begins at `phase`."""

    def __init__(self, amount: float, per_s: float, phase: float = 0.0) -> None:
        self.amount, self.per_s, self.phase = amount, per_s, phase
        self.counts: dict[int, float] = {}

    def takes(self, at: float, cost: float = 1.0) -> bool:
        window = int((at - self.phase + ROUNDING * self.per_s) // self.per_s)
        used = self.counts.get(window, 0.0) + cost
        if used > self.amount * (1 + ROUNDING):
            return False
        self.counts[window] = used
        return True


class SlidingLog:
    """So many in any window, wherever it begins."""

    def __init__(self, amount: float, per_s: float) -> None:
        self.amount, self.per_s = amount, per_s
        self.times: list[float] = []
        self.sums: list[float] = [0.0]

    def takes(self, at: float, cost: float = 1.0) -> bool:
        begin = bisect_right(self.times, at - self.per_s * (1 - ROUNDING))
        if self.sums[-1] - self.sums[begin] + cost > self.amount * (1 + ROUNDING):
            return False
        self.times.append(at)
        self.sums.append(self.sums[-1] + cost)
        return True


class Bucket:
    """A bucket that holds `burst`, full at first, and refills evenly."""

    def __init__(self, amount: float, per_s: float, burst: float | None = None) -> None:
        self.rate = amount / per_s
        self.burst = amount if burst is None else burst
        self.level, self.seen = self.burst, 0.0

    def takes(self, at: float, cost: float = 1.0) -> bool:
        self.level = min(self.burst, self.level + max(0.0, at - self.seen) * self.rate)
        self.seen = max(self.seen, at)
        if self.level + self.burst * ROUNDING < cost:
            return False
        self.level -= cost
        return True


def vendors(amount: float, per_s: float, phase: float = 0.0) -> list[Vendor]:
    """Return one of each."""
    return [FixedWindows(amount, per_s, phase), SlidingLog(amount, per_s), Bucket(amount, per_s)]
