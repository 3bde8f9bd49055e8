"""A rate limit over a sliding window, exact: as much as the vendor allows, and never more."""

from __future__ import annotations

from collections import deque


class RateLimit:
    """At most `requests` begin in any `per_s` seconds; all of them at once if need be.

    Whoever must wait is given its turn at once, so that waiters keep their order; one that is cancelled loses it.
    """

    __slots__ = ("_per_s", "_turns")

    def __init__(self, *, requests: int, per_s: float) -> None:
        self._per_s = per_s
        #: When the last `requests` turns begin; the first of them is the oldest.
        self._turns: deque[float] = deque(maxlen=requests)

    def retry_after_s(self, now: float) -> float:
        """Return the seconds until a turn is free."""
        is_full = len(self._turns) == self._turns.maxlen
        return max(0.0, self._turns[0] + self._per_s - now) if is_full else 0.0

    def admit(self, now: float, *, longest_wait_s: float) -> float | None:
        """Take a turn; return the seconds to wait for it, or None, and take none, where that is too long."""
        wait = self.retry_after_s(now)
        if wait > longest_wait_s:
            return None
        self._turns.append(now + wait)
        return wait
